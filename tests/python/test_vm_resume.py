"""What the RDMA tests do when the guest dies: with a command in QEMU's place that dies when it is told to, in seconds."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

VM = Path(__file__).parents[1] / "vm"
CRASH = "kill -KILL $GUEST"


class FakeMachine:
    """A folder with a fake QEMU in the PATH, and a kernel that nobody boots."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("path", "cache/kernel/lib/modules/fake"):
            (folder / name).mkdir(parents=True)
        for name in ("initrd", "vmlinux"):
            (folder / "cache/kernel" / name).touch()
        shutil.copy(Path(__file__).with_name("fake_qemu.sh"), folder / "path/qemu-system-x86_64")
        self.environment = os.environ | {
            "PATH": f"{folder / 'path'}:{os.environ['PATH']}",
            "VM_CACHE": str(folder / "cache"),
            "BOOTS": str(folder / "boots"),
        }
        self.environment.pop("CI", None)

    def start(self, *steps, **environment):
        lines = [f"{name}\t{seconds}\techo {name} >> {self.folder}/ran; {command}\n" for name, seconds, command in steps]
        (self.folder / "list").write_text("".join(lines))
        return subprocess.Popen(
            [VM / "rdma_test.py", self.folder / "list", self.folder],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment | environment,
        )

    def run(self, *steps, **environment):
        process = self.start(*steps, **environment)
        process.out, process.err = process.communicate()
        return process

    def ran(self):
        return (self.folder / "ran").read_text().split() if (self.folder / "ran").exists() else []


@pytest.fixture
def machine(tmp_path):
    return FakeMachine(tmp_path)


def crash_until(machine, times):
    """Kills the guest so often, then passes."""
    return f'[ "$(grep -c dies {machine.folder}/ran)" -gt {times} ] || {CRASH}'


def test_goes_on_with_the_step_that_was_running(machine):
    run = machine.run(("before", 60, "true"), ("dies", 60, crash_until(machine, 2)), ("after", 60, "true"))
    assert run.returncode == 0, run.err
    assert machine.ran() == ["before", "dies", "dies", "dies", "after"]
    assert "3 of 3 steps passed; boots: 3; guest crashes: 2, 2 in dies" in run.out
    assert "Kernel panic" in run.err, "the guest's last words are shown"


def test_a_step_that_kills_the_guest_three_times_has_failed_and_the_rest_is_judged(machine):
    run = machine.run(("dies", 60, CRASH), ("after", 60, "true"))
    assert run.returncode == 1
    assert machine.ran() == ["dies"] * 3 + ["after"]
    assert "crashed: dies" in run.err
    assert "1 of 2 steps passed; boots: 4; guest crashes: 3, 3 in dies" in run.out


def test_what_fails_or_hangs_is_not_run_again(machine):
    run = machine.run(("fails", 60, "echo why; false"), ("hangs", 1, "sleep 1000"), ("passes", 60, "true"))
    assert run.returncode == 1
    assert machine.ran() == ["fails", "hangs", "passes"]
    assert "failed: fails" in run.err and "hung: hangs" in run.err
    assert "\nwhy\n" in run.out, "what it said is shown"


def test_a_boot_that_fails_is_tried_three_times_in_all(machine):
    run = machine.run(("passes", 60, "true"), DEAD_BOOTS="2")
    assert run.returncode == 0 and "boots: 3; guest crashes: 2, 2 in the boot" in run.out
    run = machine.run(("passes", 60, "true"), DEAD_BOOTS="1000")
    assert run.returncode == 1 and "not run: passes" in run.err


def test_ended_from_outside_it_ends_the_vm(machine):
    process = machine.start(("sleeps", 600, f"echo $QEMU > {machine.folder}/pid; exec sleep 600"))
    while not (machine.folder / "pid").exists() or not (machine.folder / "pid").read_text().strip():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 1 and "not run: sleeps" in err
    pid = (machine.folder / "pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


def test_without_qemu_it_says_what_to_type_and_fails_in_ci(machine):
    (machine.folder / "path/qemu-system-x86_64").unlink()
    for folder in ("/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if not program.name.startswith("qemu-system") and not (machine.folder / "path" / program.name).is_symlink():
                (machine.folder / "path" / program.name).symlink_to(program)
    environment = {"PATH": str(machine.folder / "path")}
    run = machine.run(("passes", 60, "true"), **environment)
    assert run.returncode == 77
    assert run.err == "run_in_vm: there is no qemu-system-x86_64 here; type: sudo apt-get install qemu-system-x86\n"
    run = machine.run(("passes", 60, "true"), CI="true", **environment)
    assert run.returncode == 1 and "CI must not lose the RDMA tests" in run.err


def test_a_preparation_without_a_kernel_says_so_in_a_line_and_may_be_started_again(machine):
    shutil.rmtree(machine.folder / "cache/kernel")
    interrupted = machine.folder / "cache/tmp.before"
    interrupted.mkdir()
    for name, script in {"apt-cache": "exit 1", "apt-get": "echo E: no such host >&2; exit 100", "sudo": 'shift; exec "$@"'}.items():
        (machine.folder / "path" / name).write_text(f"#!/bin/sh\n{script}\n")
        (machine.folder / "path" / name).chmod(0o755)
    for _ in range(2):
        run = subprocess.run([VM / "run_in_vm.sh", "--prepare"], env=machine.environment, capture_output=True, text=True)
        assert run.returncode == 77
        assert run.stderr.count("\n") == 1 and "E: no such host" in run.stderr and "make vm" in run.stderr
        assert not interrupted.exists()
