#!/bin/bash
# rdma_test.sh WHAT BIN: one of the RDMA tests, in a VM of its own. 77: this machine cannot run it, which is a failure in CI.
#   verbs        the conformance suite
#   ucx          the same of UCX over rc and ud
#   conformance  both, in two VMs side by side: each waits more than it works
#   removal      a device that is removed and added again, 20 times, in the middle of measuring
#   versus       our figures beside perftest's and ucx_perftest's: that they come, not what they are
#   rails        two rails of Soft-RoCE devices: how they are told apart, and that a probe on one leaves no packet on the other
#   demo         the demo's cluster with all four transports (not part of `make test`)
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
what=$1 bin=$(readlink -f "$2")

# Soft-RoCE itself dies now and then (a queue pair that is used after it was freed: rxe_sched_task), and the guest's kernel with
# it. That is no verdict on us: once more.
run() { # run WHAT
  local fabric=rxe
  [ "$1" != rails ] || fabric=rxe2
  local vm=("$here/run_in_vm.sh" -n $fabric -t "${VM_SECONDS:-1200}" -- "$here/guest_test.sh" "$1" "$bin") rc
  "${vm[@]}"
  rc=$?
  [ $rc = 125 ] || return $rc
  echo "rdma_test: $1: the guest's kernel died; once more" >&2
  "${vm[@]}"
}

if [ "$what" = conformance ] && [ ! -x "$bin/conformance_ucx_rdma" ]; then
  run verbs # built without UCX
  rc=$?
elif [ "$what" = conformance ]; then
  log=$(mktemp) || exit
  trap 'rm -f "$log"' EXIT
  run ucx > "$log" 2>&1 &
  ucx=$!
  trap 'kill $ucx 2> /dev/null; wait $ucx; rm -f "$log"; exit 143' TERM INT HUP
  run verbs
  rc=$?
  wait $ucx
  other=$?
  cat "$log"
  [ $rc != 0 ] || rc=$other
else
  run "$what"
  rc=$?
fi
if [ $rc = 77 ] && [ -n "${CI:-}" ]; then
  echo "rdma_test: the VM cannot run here, and CI must not lose the RDMA tests" >&2
  exit 1
fi
exit $rc
