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

packets() { # packets DEVICE...: sent and received by them together
  local sum=0 device
  for device in "$@"; do sum=$((sum + $(cat /sys/class/net/"$device"/statistics/tx_packets) + $(cat /sys/class/net/"$device"/statistics/rx_packets))); done
  echo $sum
}

patiently() { # patiently COMMAND...: a slow emulator may miss the limits on opening a session
  local try
  for try in 1 2 3 4 5; do "$@" > /tmp/patiently.log 2>&1 && return; done
  cat /tmp/patiently.log
  return 1
}

# Rail 0 is va-vb, rail 1 is vc-vd. What is measured on one must not be seen on the other.
rails() {
  "$bin/netsense-bench" topo --json --rails rxeA,rxeC > /tmp/topo.json || return 1
  python3 - << 'END' || return 1
import ipaddress, json
nics = {nic["name"]: nic for nic in json.load(open("/tmp/topo.json"))["nics"]}
wanted = {"rxeA": ("va", "10.9.0.1", 0), "rxeB": ("vb", "10.9.0.2", None), "rxeC": ("vc", "10.9.1.1", 1), "rxeD": ("vd", "10.9.1.2", None)}
for name, (netdev, address, rail) in wanted.items():
    nic = nics[name]
    gids = [ipaddress.ip_address(gid["gid"]) for gid in nic["gids"] if "v2" in gid["type"]]
    print(name, nic["netdev"], nic["fabric"], nic["rail"], *gids)
    assert nic["netdev"] == netdev and nic["fabric"] == "roce" and nic["rail"] == rail, nic
    assert ipaddress.ip_address("::ffff:" + address) in gids and all(gid["netdev"] in ("", netdev) for gid in nic["gids"]), nic
END
  # IPv6's own multicast reports are nobody's probe.
  echo 1 > /proc/sys/net/ipv6/conf/vc/disable_ipv6
  echo 1 > /proc/sys/net/ipv6/conf/vd/disable_ipv6
  serve
  local transport quiet loud before after
  for transport in verbs ucx tcp; do
    local way=(--source-address 10.9.0.1 -t $transport)
    case $transport in
      verbs) way+=(--device rxeA --peer-device rxeB) ;;
      ucx) way+=(--device rxeA:1 --peer-device rxeB:1 --ucx-tls rc_verbs,ud_verbs:aux) ;;
    esac
    quiet=$(packets vc vd) loud=$(packets va vb)
    patiently "$bin/netsense-bench" ping "10.9.0.2:$port" --insecure "${way[@]}" -n 100 --timeout 5000 &&
      patiently "$bin/netsense-bench" bw "10.9.0.2:$port" --insecure "${way[@]}" -n 4 || return 1
    after=$(packets vc vd) before=$quiet
    echo "$transport on rail 0: $(($(packets va vb) - loud)) packets on rail 0, $((after - before)) on rail 1"
    [ "$after" = "$before" ] && [ $(($(packets va vb) - loud)) -gt 200 ] || return 1
  done
}

case $what in
  # Every test in one way, and in the others what the way can change.
  verbs) conformance conformance_verbs '*-*Door*/*busy_poll:*Door*/read*:*Capabilities*/*busy_poll:*read_busy_poll' ;;
  # All of it over rc, asleep; over ud, spinning, what measures. And a peer that never answers UCX.
  ucx)
    NETSENSE_TEST_RDMA=1 conformance ucx_tests '*' &&
      conformance conformance_ucx_rdma '*/rc_blocking:*.Ping*/ud_busy_poll:*.Accuracy*/ud_busy_poll:*.Stream*/ud_busy_poll'
    ;;
  removal) removal ;;
  rails) rails ;;
  versus) "$here/../../bench/versus/versus.py" --bin "$bin" --place rdma --json --rounds "${VERSUS_ROUNDS:-1}" ;;
  # UCX over tcp: while it sets up RDMA in an emulator that is too slow for its deadlines it aborts.
  demo) UCX_TLS=tcp python3 "$here/../lab/demo.py" --bin "$bin" --rdma ;;
  *) echo "guest_test: no test '$what'" >&2; exit 2 ;;
esac
