#!/bin/sh
# jobs.sh [PROC [CGROUP]]: how many compilers may run side by side here: one a core, but one for each 1.2 GiB of free memory.
# Free is what the kernel says, or less where a control group (a container) allows less.
proc=${1:-/proc} cgroup=${2:-/sys/fs/cgroup}
mib_a_job=1200

free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' "$proc/meminfo")
free=$((${free:-0} / 1024))

at_most() { # at_most LIMIT USED, both in bytes: "max", or a number that no machine has, is no limit
  case $1 in '' | *[!0-9]* | ????????????????*) return ;; esac
  left=$((($1 - ${2:-0}) / 1048576))
  [ "$left" -ge "$free" ] || free=$left
}

# The group that we are in and each above it; a container sees its own at the top.
follow() { # follow FOLDER GROUP LIMIT USED: names of the files
  group=${2%/}
  while :; do
    at_most "$(cat "$1$group/$3" 2> /dev/null)" "$(cat "$1$group/$4" 2> /dev/null)"
    [ -n "$group" ] || break
    group=${group%/*}
  done
}
groups() { sed -n "s/^[0-9]*:$1://p" "$proc/self/cgroup" 2> /dev/null; }
follow "$cgroup" "$(groups '')" memory.max memory.current
follow "$cgroup/memory" "$(groups memory)" memory.limit_in_bytes memory.usage_in_bytes # version 1

jobs=$((free / mib_a_job)) cores=$(nproc)
[ "$jobs" -le "$cores" ] || jobs=$cores
[ "$jobs" -ge 1 ] || jobs=1
echo "$jobs"
