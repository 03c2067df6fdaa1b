#!/bin/bash
# guest_steps.sh FOLDER: runs, in the guest, those steps of FOLDER/steps (a line each: NAME, seconds, command; tabs between)
# that FOLDER/done does not know. FOLDER outlives the guest: when it dies, `running` is the step that it died in.
# Output: a line a step, and all that was said by one that failed.
set -uo pipefail
cd "$1" || exit 2
uptime_ms() { awk '{ print int($1 * 1000) }' /proc/uptime; } # a step may set the wall clock
while IFS=$'\t' read -r name limit command <&3; do
  grep -q "^$name " done && continue
  echo "$name" > running
  start=$(uptime_ms)
  timeout -k 10 "$limit" bash -c "$command" > log 2>&1 < /dev/null 3<&-
  rc=$?
  case $rc in 0) verdict=ok ;; 124 | 137) verdict=hung ;; *) verdict=failed ;; esac
  ms=$(($(uptime_ms) - start))
  printf '%-6s %4d.%d s  %s\n' $verdict $((ms / 1000)) $((ms % 1000 / 100)) "$name"
  [ $rc = 0 ] || cat log
  echo "$name $verdict $ms" >> done
done 3< steps
