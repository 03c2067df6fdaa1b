#!/bin/bash
# guest_rails.sh BIN: rail 0 is va-vb, rail 1 is vc-vd. What is measured on one must not be seen on the other.
set -uo pipefail
bin=$1
. "${0%/*}/guest_serve.sh"

"$bin/netsense-bench" topo --json --rails rxeA,rxeC > /tmp/topo.json || exit 1
python3 - << 'END' || exit 1
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

packets() { # packets DEVICE...: sent and received by them together
  local sum=0 device
  for device in "$@"; do sum=$((sum + $(cat /sys/class/net/"$device"/statistics/tx_packets) + $(cat /sys/class/net/"$device"/statistics/rx_packets))); done
  echo $sum
}

serve
for transport in verbs ucx tcp; do
  way=(--source-address 10.9.0.1 -t $transport)
  case $transport in
    verbs) way+=(--device rxeA --peer-device rxeB) ;;
    ucx)
      [ -x "$bin/netsense-ucx" ] || continue # built without
      way+=(--device rxeA:1 --peer-device rxeB:1 --ucx-tls rc_verbs,ud_verbs:aux)
      ;;
  esac
  quiet=$(packets vc vd) loud=$(packets va vb)
  "$bin/netsense-bench" ping "10.9.0.2:$port" --insecure "${way[@]}" -n 100 --timeout 60000 &&
    "$bin/netsense-bench" bw "10.9.0.2:$port" --insecure "${way[@]}" -n 4 || exit 1
  after=$(packets vc vd) loud=$(($(packets va vb) - loud))
  echo "$transport on rail 0: $loud packets on rail 0, $((after - quiet)) on rail 1"
  [ "$after" = "$quiet" ] && [ $loud -gt 200 ] || exit 1
done
