#!/bin/bash
# guest_test.sh WHAT BIN: what rdma_test.sh runs inside the guest.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
what=$1 bin=$2
export CI=true NETSENSE_CONFORMANCE_PROBER=10.9.0.1 NETSENSE_CONFORMANCE_RESPONDER=10.9.0.2
# Both RDMA devices are in one network namespace, and emulation is slow: UCX must be told.
export UCX_UD_VERBS_ETH_DGID_CHECK=n UCX_UD_VERBS_TIMEOUT=20s UCX_WARN_UNUSED_ENV_VARS=n
# Soft-RoCE tells more than once that a shared receive queue is drained, and UCX aborts at the second time.
export UCX_IB_ASYNC_EVENTS=n

# Runs a conformance program; what failed once may be the emulator's doing and is run again: twice is a failure.
conformance() { # conformance PROGRAM FILTER
  local log=/tmp/$1.log failed
  "$bin/$1" --gtest_filter="$2" --gtest_brief=0 > "$log" 2>&1 && { tail -3 "$log"; return 0; }
  failed=$(sed -nE 's/^\[  FAILED  \] ([^ ,]+)(, where.*)? \([0-9]+ ms\)$/\1/p' "$log" | paste -sd:)
  grep -vE '^\[ RUN|^\[       OK' "$log"
  [ -n "$failed" ] || return 1
  echo "== once more: $failed"
  "$bin/$1" --gtest_filter="$failed"
}

serve() { # serve -> $port, $server
  coproc SERVER { exec "$bin/netsense-bench" serve --listen 10.9.0.2:0 --insecure --json 2> /dev/null; }
  server=$SERVER_PID
  read -r line <&"${SERVER[0]}"
  port=$(sed -E 's/.*"port":([0-9]+).*/\1/' <<< "$line")
}

removal() {
  serve
  local ping=("$bin/netsense-bench" ping "10.9.0.2:$port" --insecure --source-address 10.9.0.1 -t verbs --blocking)
  "$bin/netsense-bench" ping "10.9.0.2:$port" --insecure --source-address 10.9.0.1 -t tcp -D 3600 --interval 20 --blocking > /tmp/tcp.log 2>&1 &
  local tcp=$! i start ms all=()
  for i in $(seq 20); do
    # Measuring when it has a queue pair; a slow emulator may miss the door's limit on handshakes.
    local verbs='' tries=0
    until [ -n "$verbs" ] && rdma resource show qp link rxeA | grep -q "pid $verbs "; do
      if [ -z "$verbs" ] || ! kill -0 "$verbs" 2> /dev/null; then
        [ $((tries += 1)) -le 5 ] || { echo "round $i: $(cat /tmp/ping.log)"; return 1; }
        "${ping[@]}" -D 3600 > /tmp/ping.log 2>&1 &
        verbs=$!
      fi
      sleep 0.05
    done
    sleep 0.$((RANDOM % 5)) # in the middle of it, wherever that is
    start=$(date +%s%N)
    # It waits until every user of the device has let go of it.
    timeout 30 rdma link delete rxeA || { echo "round $i: the device could not be removed"; return 1; }
    ms=$((($(date +%s%N) - start) / 1000000))
    wait $verbs
    all+=("$ms")
    grep -qE 'was removed|over|opening|no RDMA' /tmp/ping.log || { echo "round $i: $(cat /tmp/ping.log)"; return 1; }
    rdma link add rxeA type rxe netdev va || return 1
    until "${ping[@]}" -n 5 --warmup 0 > /tmp/again.log 2>&1; do
      [ $((($(date +%s%N) - start) / 1000000000)) -lt 60 ] || { echo "round $i: not back: $(cat /tmp/again.log)"; return 1; }
    done
    echo "round $i: noticed and let go after $ms ms, measured again after $((($(date +%s%N) - start) / 1000000)) ms"
  done
  kill -INT $tcp
  wait $tcp
  cat /tmp/tcp.log
  kill -0 $server || { echo "the responder is gone"; return 1; }
  kill $server
  grep -q ' 0 lost' /tmp/tcp.log || { echo "TCP lost pings meanwhile"; return 1; }
  # Half of them within 2 s; none after 10 s, for an emulator may stand still for a while.
  mapfile -t all < <(printf '%s\n' "${all[@]}" | sort -n)
  echo "noticed and let go: median ${all[10]} ms, worst ${all[-1]} ms"
  [ "${all[10]}" -lt 2000 ] && [ "${all[-1]}" -lt 10000 ]
}

case $what in
  # Every test in one way, and in the others what the way can change.
  verbs) conformance conformance_verbs '*-*Door*/*busy_poll:*Door*/read*:*Capabilities*/*busy_poll:*read_busy_poll' ;;
  # Over rc asleep and over ud spinning: each way of waiting once.
  ucx) conformance conformance_ucx_rdma '*/rc_blocking:*/ud_busy_poll' ;;
  removal) removal ;;
  versus) "$here/../../bench/versus/versus.py" --bin "$bin" --rdma --rounds "${VERSUS_ROUNDS:-1}" ;;
  # UCX over tcp: while it sets up RDMA in an emulator that is too slow for its deadlines it aborts.
  demo) UCX_TLS=tcp python3 "$here/../lab/demo.py" --bin "$bin" --rdma ;;
  *) echo "guest_test: no test '$what'" >&2; exit 2 ;;
esac
