#!/bin/sh
# guest_net.sh rxe|rxe2|none: a veth pair va-vb with a Soft-RoCE device on each end, rxeA at 10.9.0.1 and rxeB at 10.9.0.2; with
# rxe2 a second rail beside it: vc-vd, rxeC at 10.9.1.1 and rxeD at 10.9.1.2.
# Soft-RoCE handles packets in the initial network namespace only, so all ends live there, and policy routing sends what
# goes from one address to the other over the wire instead of through the loopback device.
[ "$1" = none ] && exit
for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done
modprobe -a rdma_ucm veth rdma_rxe
ip rule add pref 100 lookup local
ip rule del pref 0

rail() { # rail NUMBER DEVICE DEVICE RDMA RDMA
  here=10.9.$1.1 there=10.9.$1.2
  ip link add $2 mtu 4200 type veth peer name $3 mtu 4200 # room for an RDMA MTU of 4096
  for i in all $2 $3; do
    cd /proc/sys/net/ipv4/conf/$i || exit
    echo 0 > rp_filter
    echo 1 > accept_local
    echo 1 > arp_ignore
    echo 2 > arp_announce
  done
  ip -b - << END
link set $2 up
link set $3 up
addr add $here/32 dev $2
addr add $there/32 dev $3
rule add pref 10 iif $2 lookup local
rule add pref 11 iif $3 lookup local
rule add pref 18 from $here to $here lookup local
rule add pref 19 from $there to $there lookup local
rule add pref 20 to $there lookup $((101 + 10 * $1))
rule add pref 21 to $here lookup $((102 + 10 * $1))
route add $there/32 dev $2 src $here table $((101 + 10 * $1))
route add $here/32 dev $3 src $there table $((102 + 10 * $1))
neigh replace $there lladdr $(cat /sys/class/net/$3/address) dev $2 nud permanent
neigh replace $here lladdr $(cat /sys/class/net/$2/address) dev $3 nud permanent
END
  rdma link add $4 type rxe netdev $2
  rdma link add $5 type rxe netdev $3
}
rail 0 va vb rxeA rxeB
[ "$1" != rxe2 ] || rail 1 vc vd rxeC rxeD
while [ -n "$(ip -6 addr show tentative)" ]; do sleep 0.1; done # the link-local GID is usable from here on
