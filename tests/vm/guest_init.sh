#!/bin/busybox sh
# First program of the guest, from the initrd: the host's root, read-only over 9p, under a tmpfs overlay becomes the root.
busybox=/bin/busybox
options=trans=virtio,version=9p2000.L,msize=512000
$busybox mount -t devtmpfs none /dev
$busybox mount -t proc none /proc
$busybox mount -t sysfs none /sys
while read -r module; do $busybox insmod "/mods/$module"; done < /mods/order
# vm.kernel=, vm.run=, vm.writable= of the kernel's command line become variables.
for word in $($busybox cat /proc/cmdline); do
  case $word in vm.*) name=${word%%=*}; eval "${name#vm.}='${word#*=}'" ;; esac
done
$busybox mount -t 9p -o "ro,$options,cache=loose" hostroot /host &&
  $busybox mount -t tmpfs none /rw && $busybox mkdir /rw/up /rw/work &&
  $busybox mount -t overlay -o lowerdir=/host,upperdir=/rw/up,workdir=/rw/work none /new &&
  $busybox mount -t proc none /new/proc && $busybox mount -t sysfs none /new/sys &&
  $busybox mount --move /dev /new/dev || $busybox reboot -f
$busybox mkdir -p /new/dev/pts /new/dev/shm
$busybox mount -t devpts none /new/dev/pts
$busybox mount -t tmpfs none /new/dev/shm
$busybox mount -t tmpfs none /new/run
version=$($busybox uname -r)
$busybox mkdir -p /new/lib/modules
$busybox ln -sfn "$kernel/lib/modules/$version" "/new/lib/modules/$version"
# The folder of this run, then those that the caller wants to write to, at their own paths.
i=0
IFS=:
folders=$run:$writable
for folder in $folders; do
  $busybox mkdir -p "/new$folder"
  $busybox mount -t 9p -o "$options,cache=none" "rw$i" "/new$folder"
  i=$((i + 1))
done
unset IFS
exec $busybox switch_root /new /bin/sh "$run/guest_job.sh"
