#!/bin/bash
# As QEMU's command line, with no guest: the job of run_in_vm.sh runs here. A step that kills $GUEST is what a kernel that dies
# is to the host: no exit code, and what it was at stays as it is.
for word in "$@"; do
  case $word in local,path=*,mount_tag=rw0,*) run=${word#local,path=} run=${run%%,*} ;; esac
done
echo "boot" >> "$BOOTS"
echo "Kernel panic - not syncing: the fake guest" > "$run/console"
[ "$(wc -l < "$BOOTS")" -gt "${DEAD_BOOTS:-0}" ] || exit 0
QEMU=$$ setsid bash -c 'export GUEST=$$; . "$0"' "$run/job" >&3 2>&4 3>&- 4>&- &
guest=$!
trap 'pkill -KILL -s $guest; exit 143' TERM
wait $guest
rc=$?
[ $rc = 137 ] || echo $rc > "$run/rc"
