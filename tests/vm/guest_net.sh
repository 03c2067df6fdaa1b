#!/bin/sh
# guest_net.sh rxe|none: a veth pair va-vb with a Soft-RoCE device on each end, rxeA at 10.9.0.1 and rxeB at 10.9.0.2.
# Soft-RoCE handles packets in the initial network namespace only, so both ends live there, and policy routing sends what
# goes from one address to the other over the wire instead of through the loopback device.
[ "$1" = none ] && exit
for i in all default; do echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad; done
modprobe -a rdma_ucm veth rdma_rxe
ip link add va mtu 4200 type veth peer name vb mtu 4200 # room for an RDMA MTU of 4096
for i in all va vb; do
  cd /proc/sys/net/ipv4/conf/$i || exit
  echo 0 > rp_filter
  echo 1 > accept_local
  echo 1 > arp_ignore
  echo 2 > arp_announce
done
ip -b - << END
link set va up
link set vb up
addr add 10.9.0.1/32 dev va
addr add 10.9.0.2/32 dev vb
rule add pref 10 iif va lookup local
rule add pref 11 iif vb lookup local
rule add pref 18 from 10.9.0.1 to 10.9.0.1 lookup local
rule add pref 19 from 10.9.0.2 to 10.9.0.2 lookup local
rule add pref 20 to 10.9.0.2 lookup 101
rule add pref 21 to 10.9.0.1 lookup 102
rule add pref 100 lookup local
rule del pref 0
route add 10.9.0.2/32 dev va src 10.9.0.1 table 101
route add 10.9.0.1/32 dev vb src 10.9.0.2 table 102
neigh replace 10.9.0.2 lladdr $(cat /sys/class/net/vb/address) dev va nud permanent
neigh replace 10.9.0.1 lladdr $(cat /sys/class/net/va/address) dev vb nud permanent
END
rdma link add rxeA type rxe netdev va
rdma link add rxeB type rxe netdev vb
while [ -n "$(ip -6 addr show tentative)" ]; do sleep 0.1; done # the link-local GID is usable from here on
