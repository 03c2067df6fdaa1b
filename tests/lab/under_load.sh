#!/bin/bash
# under_load.sh COMMAND [ARGUMENT...]: runs it beside a busy loop for every core, of its own priority.
loops=()
trap 'kill "${loops[@]}"' EXIT
for _ in $(seq "$(nproc)"); do
  setpriv --pdeathsig KILL bash -c 'while :; do :; done' &
  loops+=($!)
done
"$@"
