#!/bin/sh
# doctor.sh [-q] demo | test | packages PURPOSE...: can it work here? One line a check: ok; skip (it works, without that); or MISSING, and
# what to type. -q: only what is missing. Exit code 1: something is.
#   demo      what `make demo` needs
#   test      what `make test` needs, beside that
#   packages  only whether the packages for some purposes can be installed
cd "$(dirname "$0")/.." || exit
quiet=
[ "${1:-}" != -q ] || { quiet=1; shift; exec >&2; }
what=$1
shift
code=0
ok() { [ -n "$quiet" ] || printf 'ok       %-11s %s\n' "$1" "$2"; }
skip() { [ -n "$quiet" ] || printf 'skip     %-11s %s\n' "$1" "$2"; }
missing() {
  printf 'MISSING  %-11s %s\n' "$1" "$2"
  code=1
}
has() { command -v "$1" > /dev/null 2>&1; }

free_mib() { # free_mib FOLDER, or the nearest that there is above it
  folder=$1
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  df -Pk "$folder" 2> /dev/null | awk 'END { print int($4 / 1024) }'
}
check_disk() { # check_disk NAME FOLDER MIB
  free=$(free_mib "$2")
  if [ "${free:-0}" -lt "$3" ]; then
    missing "$1" "$3 MiB are needed in $2, $free MiB are free: free some, or use another disk"
  else
    ok "$1" "$free MiB free in $2, $3 needed"
  fi
}

check_packages() { # check_packages MIB PURPOSE...: that much of the disk, were all of them missing
  mib=$1
  shift
  if [ "${DEPS:-}" = no ]; then
    lacking=
    for command in c++ cmake ninja pkg-config protoc python3; do has $command || lacking="$lacking $command"; done
    if [ -n "$lacking" ]; then
      missing packages "DEPS=no, and no command$lacking: install what packages.txt names for $*"
    else
      ok packages "DEPS=no: what is installed must do"
    fi
    return
  fi
  if ! has apt-get || ! has dpkg-query; then
    system=$( (. /etc/os-release && echo "$PRETTY_NAME") 2> /dev/null)
    missing packages "no apt-get on ${system:-this system}: install what packages.txt names for $* by its own means, then add DEPS=no, as in: make demo DEPS=no"
    return
  fi
  packages=$(make/packages.sh --missing "$@") || { code=1; return; }
  if [ -z "$packages" ]; then
    ok packages "all installed"
    return
  fi
  count=$(echo "$packages" | wc -w)
  by_root="as root, type: make -C '$PWD' deps FOR='$*'"
  if [ "$(id -u)" = 0 ]; then
    ok packages "$count to install"
  elif ! has sudo; then
    missing packages "$count to install, no sudo: $by_root"
  elif sudo -n true 2> /dev/null; then
    ok packages "$count to install, by sudo"
  elif (: < /dev/tty) 2> /dev/null; then # where sudo asks
    ok packages "$count to install: sudo will ask for your password"
  else
    missing packages "$count to install, and sudo has nowhere to ask for your password: $by_root"
  fi
  [ "$(id -u)" != 0 ] || [ -w /usr ] || missing packages "/usr is read-only: they cannot be installed here"
  check_disk 'system disk' /usr "$mib"
}

check_build() {
  if ! mkdir -p build 2> /dev/null || [ ! -w build ]; then
    missing 'build/' "$PWD/build cannot be written to by $(id -un): clone into a folder of your own, or: sudo chown -R $(id -un) '$PWD/build'"
    return
  fi
  for entry in build/*; do
    [ ! -e "$entry" ] || [ -w "$entry" ] || { missing 'build/' "$entry belongs to somebody else: sudo rm -rf '$PWD/build', or: sudo chown -R $(id -un) '$PWD/build'"; return; }
  done
  made_at=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' build/dev/CMakeCache.txt 2> /dev/null)
  if [ -n "$made_at" ] && [ "$made_at" != "$PWD" ]; then
    missing 'build/' "it was made when this folder was $made_at: make clean"
  else
    ok 'build/' "$PWD/build"
  fi
}
check_scratch() {
  scratch=${TMPDIR:-/tmp}
  if probe=$(mktemp -d 2> /dev/null) && rmdir "$probe"; then
    check_disk 'scratch' "$scratch" 100
  else
    missing scratch "no file can be made in $scratch: export TMPDIR=FOLDER that can be written to"
  fi
}
check_processor() {
  jobs=${JOBS:-$(make/jobs.sh)}
  memory=$(($(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))
  ok processor "cores: $(nproc), $memory MiB of memory free: compilers at a time: $jobs (JOBS=N changes that)"
}
check_namespaces() { # check_namespaces WHAT_IS_LOST: as `ip netns` makes them
  if unshare --net --mount true 2> /dev/null; then
    ok namespaces 'networks of their own can be made'
  elif [ "$(id -u)" = 0 ]; then
    skip namespaces "this container may not make network namespaces (docker run --privileged may): $1"
  else
    skip namespaces "network namespaces need root: $1"
  fi
}
check_home() {
  own=$PWD/build/cache
  if [ "${XDG_CACHE_HOME:-}" = "$own" ] || [ -n "$(make/own_caches.sh)" ]; then # make has set the one
    ok home "${HOME:-none} cannot be written to: what ccache, pip and npm keep goes to $own"
  else
    ok home "what ccache, pip and npm keep goes there"
  fi
}

case $what in
  packages) check_packages 0 "$@" ;;
  demo)
    check_packages 1000 build demo
    check_build
    check_disk 'disk' build 400
    check_scratch
    check_processor
    check_home
    check_namespaces 'no link is slow in the demo'
    ;;
  test)
    check_packages 3000 all
    check_disk 'disk' build 6000
    check_namespaces 'tests with more than one node are skipped'
    if [ "$(uname -m)" != x86_64 ]; then
      skip vm "no RDMA tests: their VM is for x86_64"
    elif [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
      ok vm "with /dev/kvm"
    else
      ok vm "emulated, slowly: no /dev/kvm"
    fi
    case $PWD in *[[:space:]]*) skip vm "no RDMA tests: their VM cannot have the path $PWD, for its blank" ;; esac
    ;;
esac
exit $code
