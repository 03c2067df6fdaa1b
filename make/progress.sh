#!/bin/sh
# progress.sh KIND LOG: how far a step is, in a few words, from what its command has written so far. Nothing known: nothing said.
kind=$1 log=$2

last_line() {
  tail -c 2000 "$log" | tr '\r' '\n' | sed -n '/[^[:space:]]/{s/^[[:space:]]*//; h;}; ${x;p;}' | cut -c 1-100
}

case $kind in
  ninja) # [82/207] Building ...
    tail -c 100000 "$log" | sed -n 's/^\[\([0-9]*\)\/\([0-9]*\)\].*/\1 \2/p' | tail -n 1 | {
      read -r done all && [ "$all" -gt 0 ] && echo "$((100 * done / all)) % ($done of $all)" || echo configuring
    }
    ;;
  apt) # dlstatus:3:12.5:Retrieving file 3 of 90, pmstatus:g++-12:34.2:Unpacking g++-12 (amd64)
    tail -c 4000 "$log" | sed -n \
      -e 's/^dlstatus:[^:]*:\([0-9]*\)[^:]*:Retrieving file \([0-9]*\) of \([0-9]*\).*/\1 % (\2 of \3)/p' \
      -e 's/^pmstatus:[^:]*:\([0-9]*\)[^:]*:\(.*\)/\1 % (\2)/p' | tail -n 1 | grep . || last_line
    ;;
  *) last_line ;;
esac
