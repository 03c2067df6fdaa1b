#!/bin/bash
# Runs a program as if on a machine of its own: own process table, own loopback and ports, own list of network namespaces. So tests run
# side by side that use fixed ports, or look for Ray's processes as Ray itself does. All of it ends with the program.
# Whoever may not make namespaces gets the program as it is: it says itself what it cannot do.
set -eu
[ $# -gt 0 ] || { echo "usage: own_machine.sh PROGRAM [ARGUMENT]..." >&2; exit 2; }
apart=(unshare --fork --pid --kill-child --mount-proc --net)
"${apart[@]}" true 2>/dev/null || exec "$@"
# The shell stays, as the process that collects those whose parent has ended: not `exec`.
exec "${apart[@]}" bash -c '
  ip link set lo up
  mount -t sysfs sysfs /sys
  mkdir -p /run/netns
  mount -t tmpfs tmpfs /run/netns
  "$@" || exit' own_machine "$@"
