#!/bin/sh
# The guest's pid 1 after its root is in place: network, the job with its output on two serial ports, its exit code to `rc`.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd "${0%/*}" || exit
mkfifo /run/out /run/err
until [ -c /dev/vport*p1 ] && [ -c /dev/vport*p2 ]; do sleep 0.1; done 2> /dev/null
set -- /dev/vport*p1 /dev/vport*p2
cat < /run/out > "$1" &
out=$!
cat < /run/err > "$2" &
err=$!
ln -sfn /proc/self/fd /dev/fd
exec 3> /run/out 4> /run/err
ip link set lo up
ulimit -l unlimited
sh ./guest_net.sh "$(cat fabric)" >&4 2>&1 3>&- 4>&-
for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do [ -e "$cpu" ] && echo 1 > "$cpu"; done
setsid -w bash ./job >&3 2>&4 3>&- 4>&- < /dev/null
rc=$?
exec 3>&- 4>&-
(sleep 3; kill $out $err) 2> /dev/null &
wait $out $err
echo $rc > rc.tmp
mv rc.tmp rc
echo b > /proc/sysrq-trigger
sleep 60
