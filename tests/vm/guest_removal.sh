#!/bin/bash
# guest_removal.sh BIN ROUNDS: a device that is removed and added again in the middle of measuring, that often: the prober
# says so and lets go of it, the device that came back is measured, and TCP beside it loses no ping.
set -uo pipefail
bin=$1 rounds=$2
. "${0%/*}/guest_serve.sh"
serve
ping=("$bin/netsense-bench" ping "10.9.0.2:$port" --insecure --source-address 10.9.0.1 --blocking --timeout 60000)
"${ping[@]}" -t tcp -D 3600 --interval 20 > /tmp/tcp.log 2>&1 &
tcp=$!

fail() {
  echo "round $i: $*"
  exit 1
}

measuring() { rdma resource show qp link rxeA | grep -q "state RTS.* pid $1 "; }
usable() { grep -qs '0a09:0001' /sys/class/infiniband/rxeA/ports/1/gids/*; } # 10.9.0.1, as a GID

for i in $(seq "$rounds"); do
  "${ping[@]}" -t verbs -D 3600 > /tmp/ping.log 2>&1 &
  verbs=$!
  until measuring $verbs; do
    kill -0 $verbs 2> /dev/null || fail "it did not begin: $(cat /tmp/ping.log)"
    sleep 0.1
  done
  sleep 0.$((RANDOM % 5)) # in the middle of it, wherever that is
  start=$(date +%s%N)
  # It waits until every user of the device has let go of it.
  timeout 60 rdma link delete rxeA || fail "the device could not be removed"
  ms=$((($(date +%s%N) - start) / 1000000))
  wait $verbs
  grep -qE 'was removed|over|opening|no RDMA' /tmp/ping.log || fail "$(cat /tmp/ping.log)"
  rdma link add rxeA type rxe netdev va || fail "the device could not be added again"
  until usable; do sleep 0.1; done
  "${ping[@]}" -t verbs -n 5 --warmup 0 > /tmp/again.log 2>&1 || fail "not back: $(cat /tmp/again.log)"
  echo "round $i: noticed and let go after $ms ms, measured again after $((($(date +%s%N) - start) / 1000000)) ms"
done
kill -INT $tcp
wait $tcp
cat /tmp/tcp.log
kill -0 "$server" || fail "the responder is gone"
grep -qE '[1-9][0-9]* sent, 0 lost' /tmp/tcp.log || fail "TCP lost pings meanwhile"
