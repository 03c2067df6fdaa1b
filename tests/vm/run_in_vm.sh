#!/bin/bash
# run_in_vm.sh: runs one command in a throw-away VM whose (Debian's own) kernel has Soft-RoCE.
#
#   run_in_vm.sh [-t SECONDS] [-c CPUS] [-m MIB] [-w FOLDER]... [-n rxe|rxe2|none] -- COMMAND [ARGUMENT...]
#   run_in_vm.sh --prepare      only downloads and unpacks the kernel
#
# The guest's root is the host's root, read-only, under a tmpfs: what is installed or built here runs there unchanged, in
# the same folder, with the same environment. -w FOLDER can be written to, too. -n rxe (default): two RDMA devices, rxe2: four
# on two rails, see guest_net.sh. stdout and stderr come back apart. Exit code: the command's; 124: time over; 77: this machine
# cannot (a line says what to type); 125: the guest died without an exit code, and its console goes to stderr.
#
# The kernel package is downloaded and unpacked once into VM_CACHE (default: build/vm of this repository), never installed.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
cache=${VM_CACHE:-$here/../../build/vm}
seconds=300 cpus= memory=2048 fabric=rxe writable=() prepare_only=
[ "${1:-}" = --prepare ] && prepare_only=1 && shift
while getopts t:c:m:w:n: option; do
  case $option in
    t) seconds=$OPTARG ;;
    c) cpus=$OPTARG ;;
    m) memory=$OPTARG ;;
    w) writable+=("$(readlink -f "$OPTARG")") ;;
    n) fabric=$OPTARG ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))

skip() {
  echo "run_in_vm: $*" >&2
  exit 77
}

update_package_lists() { # a machine on which nothing was missing may never have fetched them
  if [ "$(id -u)" = 0 ]; then apt-get update -q; else sudo -n apt-get update -q; fi
}

find_kernel_package() { # the first that apt knows, as the package that holds the image
  local meta package
  for meta in linux-image-6.12-amd64 linux-image-amd64; do
    package=$(apt-cache depends "$meta" 2> /dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
    [ -n "$package" ] && echo "$package" && return
  done
  return 1
}

download_kernel() { # into the folder that it is called in
  local package
  package=$(find_kernel_package) && apt-get download -q "$package"
}

make_initrd() { # make_initrd FOLDER VERSION
  local root=$1/initrd.d module file name
  rm -rf "$root"
  mkdir -p "$root"/{bin,mods,dev,proc,sys,host,rw,new}
  cp "$(type -P busybox)" "$root/bin/" || return
  for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
    modprobe -d "$1" -S "$2" --show-depends $module | awk '$1=="insmod"{print $2}' | while read -r file; do
      name=$(basename "${file%.xz}")
      [ -e "$root/mods/$name" ] && continue
      case $file in *.xz) xz -dc "$file" ;; *) cat "$file" ;; esac > "$root/mods/$name"
      echo "$name" >> "$root/mods/order"
    done
  done
  install -m 755 "$here/guest_init.sh" "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet) > "$1/initrd.new" && mv "$1/initrd.new" "$1/initrd" && rm -rf "$root"
}

# -> $kernel/{vmlinux,initrd,lib/modules/VERSION}: in a folder of its own until it is whole. What it says goes to $cache/log.
prepare() {
  local folder version modules
  rm -rf "$cache"/tmp.* # of one that was interrupted
  folder=$(mktemp -d "$cache/tmp.XXXXXX") || return
  chmod 755 "$folder"
  (cd "$folder" && { download_kernel || { update_package_lists && download_kernel; }; } && dpkg -x ./*.deb . && rm -f ./*.deb) || return
  version=$(ls "$folder/lib/modules")
  modules=$folder/lib/modules/$version/kernel
  # What an RDMA test loads is unpacked here: the guest is slow at it.
  find "$modules"/{drivers/infiniband/{core,sw},net/{sched,ipv4,ipv6,core},crypto,lib,arch/x86/crypto} \
    "$modules"/drivers/net/{veth,dummy,ifb}.ko* "$modules"/fs/configfs -name '*.ko.xz' -exec xz -d {} + 2> /dev/null
  depmod -b "$folder" "$version"
  python3 "$here/extract_vmlinux.py" "$folder/boot/vmlinuz-$version" "$folder/vmlinux" || return
  make_initrd "$folder" "$version" || return
  rm -rf "$folder/usr" "$folder/boot" "$kernel"
  mv "$folder" "$kernel"
}

PATH=$PATH:/usr/sbin:/sbin
for program in qemu-system-x86_64:qemu-system-x86 modprobe:kmod depmod:kmod cpio:cpio xz:xz-utils zstd:zstd \
  setpriv:util-linux timeout:coreutils python3:python3 busybox:busybox-static; do
  type -P "${program%:*}" > /dev/null || skip "there is no ${program%:*} here; type: sudo apt-get install ${program#*:}"
done
case $(readlink -m "$cache")$PWD in *[[:space:]]*) skip "the guest's kernel is told of paths, which can have no blank ($here): clone into another folder" ;; esac
mkdir -p "$cache" || exit
cache=$(readlink -f "$cache")
kernel=$cache/kernel
if [ ! -e "$kernel/initrd" ]; then
  (flock 9; [ -e "$kernel/initrd" ] || prepare > "$cache/log" 2>&1) 9> "$cache/lock" ||
    skip "no kernel for the VM: $(grep -v '^W:' "$cache/log" | tail -n 1) (all of it: $cache/log); once that is mended, type: make vm"
fi
# The guest's first program is part of the initrd: a newer one makes a new initrd.
if [ "$here/guest_init.sh" -nt "$kernel/initrd" ]; then
  (flock 9; make_initrd "$kernel" "$(ls "$kernel/lib/modules")") 9> "$cache/lock" ||
    skip "no initrd for the VM; type: rm -rf $cache; make vm"
fi
[ -n "$prepare_only" ] && exit 0
[ $# -gt 0 ] || { echo "run_in_vm: no command" >&2; exit 2; }

run=$(mktemp -d) || exit 125
vm=
trap 'rm -rf "$run"' EXIT
trap '[ "$vm" ] && kill $vm 2> /dev/null && wait $vm; exit 143' TERM INT HUP
cp "$here/guest_job.sh" "$here/guest_net.sh" "$run/"
echo "$fabric" > "$run/fabric"
{
  export -p | grep -vE ' (PWD|OLDPWD|SHLVL|_|TMPDIR)='
  printf 'cd %q\nexec' "$PWD"
  printf ' %q' "$@"
  echo
} > "$run/job"

# KVM only where the CPU offers it: /dev/kvm alone may belong to a hypervisor that cannot run a stock kernel.
# Emulated, one CPU: a boot costs half, and neither Soft-RoCE nor QEMU has anybody to race with (docs/transports.md).
if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
  acceleration=(-accel kvm -cpu host -smp "${cpus:-2}")
else
  acceleration=(-accel tcg,thread=multi -cpu max -smp "${cpus:-1}")
fi
shares=() i=0
for folder in "$run" "${writable[@]}"; do
  shares+=(-virtfs "local,path=$folder,mount_tag=rw$i,security_model=none,multidevs=remap")
  i=$((i + 1))
done
command_line="console=ttyS0 quiet loglevel=5 panic=-1 oops=panic tsc=reliable mitigations=off audit=0 ${VM_CMDLINE:-}"
command_line+=" vm.kernel=$kernel vm.run=$run vm.writable=$(IFS=:; echo "${writable[*]}")"
die_with_us=(setpriv --pdeathsig KILL) # no VM outlives this script, however it ends
"${die_with_us[@]}" timeout --foreground -k 5 "$seconds" "${die_with_us[@]}" qemu-system-x86_64 \
  "${acceleration[@]}" -M q35 -m "$memory" -nodefaults -no-user-config -display none -monitor none -no-reboot \
  -kernel "$kernel/vmlinux" -initrd "$kernel/initrd" -append "$command_line" -serial "file:$run/console" \
  -object rng-builtin,id=rng -device virtio-rng-pci,rng=rng \
  -virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap "${shares[@]}" \
  -add-fd fd=3,set=1 -add-fd fd=4,set=2 -device virtio-serial-pci \
  -chardev file,id=out,path=/dev/fdset/1,append=on -device virtserialport,nr=1,chardev=out \
  -chardev file,id=err,path=/dev/fdset/2,append=on -device virtserialport,nr=2,chardev=err 3>&1 4>&2 < /dev/null >&2 &
vm=$!
SECONDS=0
wait $vm
qemu=$?
[ -s "$run/rc" ] && exit "$(cat "$run/rc")"
echo "run_in_vm: no exit code from the guest (qemu: $qemu); the end of its console:" >&2
tail -n 60 "$run/console" >&2
[ $qemu = 124 ] || [ $SECONDS -ge "$seconds" ] && exit 124
exit 125
