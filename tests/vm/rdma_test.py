#!/usr/bin/env python3
"""rdma_test.py WHAT BIN: RDMA tests over Soft-RoCE, in a VM. WHAT is one of the lists of steps.py, or a file of such steps.

A guest whose kernel dies is booted again and goes on with the step that was running: what was judged before stays judged,
and the end of the run names each crash. A step in which the guest died three times has failed. Nothing else is run again.

Exit code: 0: every step passed; 1: one failed; 77: this machine cannot run a VM, which is a failure in CI.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from steps import ALONE, EMULATION, PLACE, lanes_of

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import pace  # noqa: E402

CRASHES_OF_ONE_STEP, CRASHES = 3, 8  # as many, and there is no going on
TIME_OVER, GUEST_DIED, SKIPPED = 124, 125, 77  # run_in_vm.sh


running_vms: set[subprocess.Popen] = set()


def in_vm(fabric, seconds, writable, *command):
    folders = [word for folder in writable for word in ("-w", folder)]
    vm = ["setpriv", "--pdeathsig", "TERM", HERE / "run_in_vm.sh", "-n", fabric, "-t", str(max(1, int(seconds))), *folders, "--", *command]
    # What runs in the guest is as patient as emulation, on this machine at this moment, needs it.
    place = PLACE | {pace.VARIABLE: f"{min(pace.HIGHEST, EMULATION * pace.scale()):.1f}"}
    with subprocess.Popen(vm, env=os.environ | place) as process:
        running_vms.add(process)
        process.wait()
        running_vms.discard(process)
    return process.returncode


def end_vms(*_):
    for process in list(running_vms):
        process.terminate()


class Lane:
    """Steps that run one after the other in a VM of their own, whose folder outlives the guest."""

    def __init__(self, steps, seconds):
        self.steps, self.end = steps, time.monotonic() + seconds
        self.crashes = []  # what was running
        self.boots, self.code = 0, 0

    def run(self, folder):
        self.folder = folder
        (folder / "steps").write_text("".join(f"{step.name}\t{step.seconds}\t{step.command}\n" for step in self.steps))
        (folder / "done").touch()
        while True:
            (folder / "running").unlink(missing_ok=True)
            self.boots += 1
            self.code = in_vm("rxe2", self.end - time.monotonic(), [folder], HERE / "guest_steps.sh", folder)
            if self.code != GUEST_DIED or not self.goes_on():
                return

    def goes_on(self):
        running = self.folder / "running"
        step = running.read_text().strip() if running.exists() else ""
        self.crashes.append(step or "the boot")
        print(f"rdma_test: guest crash {len(self.crashes)}: in {self.crashes[-1]}", file=sys.stderr, flush=True)
        if len(self.crashes) >= CRASHES:
            return False
        if self.crashes.count(self.crashes[-1]) < CRASHES_OF_ONE_STEP:
            return True
        if step:
            with open(self.folder / "done", "a") as file:
                file.write(f"{step} crashed 0\n")
        return bool(step)

    def verdicts(self):
        """{step: ok, failed, hung, crashed, or not run}"""
        done = dict(line.split()[:2] for line in (self.folder / "done").read_text().splitlines())
        return {step.name: done.get(step.name, "not run") for step in self.steps}


def run_lanes(what, lanes):
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="netsense-vm-") as folder:
        threads = []
        for number, lane in enumerate(lanes):
            (Path(folder) / str(number)).mkdir()
            threads.append(threading.Thread(target=lane.run, args=[Path(folder) / str(number)]))
            threads[-1].start()
        for thread in threads:
            thread.join()
        verdicts = {name: verdict for lane in lanes for name, verdict in lane.verdicts().items()}
    if all(lane.code == SKIPPED for lane in lanes):
        return SKIPPED
    passed = sum(verdict == "ok" for verdict in verdicts.values())
    crashes = Counter(step for lane in lanes for step in lane.crashes)
    if any(lane.code == TIME_OVER for lane in lanes):
        print("rdma_test: the time was over before the last step", file=sys.stderr)
    for name, verdict in verdicts.items():
        if verdict != "ok":
            print(f"rdma_test: {verdict}: {name}", file=sys.stderr)
    print(
        f"rdma_test: {what}: {passed} of {len(verdicts)} steps passed; boots: {sum(lane.boots for lane in lanes)}; guest crashes: {crashes.total()}"
        + "".join(f", {count} in {step}" for step, count in crashes.items())
        + f"; {time.monotonic() - start:.0f} s"
    )
    return 0 if passed == len(verdicts) else 1


def run_alone(command, seconds):
    """One command, its output passed through."""
    for crashes in range(1, CRASHES_OF_ONE_STEP + 1):
        code = in_vm("rxe", seconds, [], "bash", "-c", command)
        if code != GUEST_DIED:
            break
        print(f"rdma_test: guest crash {crashes}", file=sys.stderr)
    return code


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end_vms)
    what, bin_folder = sys.argv[1], Path(sys.argv[2]).resolve()
    if what in ALONE:
        code = run_alone(*ALONE[what](bin_folder))
    else:
        code = run_lanes(what, [Lane(*lane) for lane in lanes_of(what, bin_folder)])
    if code == SKIPPED and os.environ.get("CI"):
        sys.exit("rdma_test: the VM cannot run here, and CI must not lose the RDMA tests")
    return code


if __name__ == "__main__":
    sys.exit(main())
