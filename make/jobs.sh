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

# Version 2: the group that we are in and each above it; a container sees its own at the top.
group=$(sed -n 's/^0:://p' "$proc/self/cgroup" 2> /dev/null)
while :; do
  folder=$cgroup${group%/}
  at_most "$(cat "$folder/memory.max" 2> /dev/null)" "$(cat "$folder/memory.current" 2> /dev/null)"
  case $group in '' | /) break ;; esac
  group=${group%/*}
done
# Version 1.
at_most "$(cat "$cgroup/memory/memory.limit_in_bytes" 2> /dev/null)" "$(cat "$cgroup/memory/memory.usage_in_bytes" 2> /dev/null)"

jobs=$((free / mib_a_job)) cores=$(nproc)
[ "$jobs" -le "$cores" ] || jobs=$cores
[ "$jobs" -ge 1 ] || jobs=1
echo "$jobs"
