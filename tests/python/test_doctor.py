"""What a newcomer sees when it cannot work: the scripts of make/ on machines that are made up of a few programs in a PATH of their own."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
GIB = 2**30


class Machine:
    """A copy of make/ and packages.txt, and a PATH that has the host's everyday programs and what a test puts there."""

    EVERYDAY = (
        "sh bash awk cat chown cut date dirname df env expr grep head id kill ls mkdir mktemp nproc ps rm rmdir sed seq setsid sleep sort stty sync tail tee "
        "touch tr true uname wc"
    ).split()

    def __init__(self, folder):
        self.tree = folder / "a tree"  # with a blank, as somebody's has
        self.bin = folder / "bin"
        self.home = folder / "home"
        for made in (self.tree, self.bin, self.home):
            made.mkdir()
        shutil.copytree(REPOSITORY / "make", self.tree / "make")
        shutil.copy(REPOSITORY / "packages.txt", self.tree)
        for program in self.EVERYDAY:
            (self.bin / program).symlink_to(shutil.which(program))
        self.program("dpkg-query", "exit 1")  # nothing is installed
        self.program("apt-get", "exit 0")
        self.program("id", "case $1 in -u) echo 1000 ;; -un) echo alice ;; esac")
        self.environment = {"PATH": str(self.bin), "HOME": str(self.home)}

    def program(self, name, text):
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, script, *arguments, **environment):
        """A session of its own: no terminal, on which sudo could ask."""
        return subprocess.run([self.tree / "make" / script, *arguments], env=self.environment | environment, cwd=self.tree, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def the_missing(done):
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("MISSING")]
    assert (done.returncode != 0) == bool(lines), f"exit code {done.returncode}, and it says\n{done.stdout}{done.stderr}"
    return lines


def test_the_list_has_purposes_and_a_demo_takes_two_of_them(machine):
    machine.program("npm", "")
    demo, everything = (machine.run("packages.sh", "--missing", *purposes).stdout.split() for purposes in (("build", "demo"), ("all",)))
    assert {"g++", "iproute2"} <= set(demo) < set(everything)
    assert not {"chromium", "qemu-system-x86", "redis-server", "npm", "sockperf", "libgtest-dev"} & set(demo)
    assert "npm" not in everything, "there is a command npm"
    (machine.bin / "npm").unlink()
    assert "npm" in machine.run("packages.sh", "--missing", "page").stdout.split()
    assert machine.run("packages.sh", "--missing", "bulid").returncode == 2


def test_as_a_user_without_sudo_it_says_what_root_must_type(machine):
    (line,) = the_missing(machine.run("doctor.sh", "-q", "demo"))
    assert "no sudo" in line and f"make -C '{machine.tree}' deps FOR='build demo'" in line


def test_a_sudo_that_asks_needs_a_terminal(machine):
    machine.program("sudo", "exit 1")
    (line,) = the_missing(machine.run("doctor.sh", "-q", "demo"))
    assert "nowhere to ask" in line
    machine.program("sudo", "exit 0")
    assert the_missing(machine.run("doctor.sh", "-q", "demo")) == []


def test_packages_that_are_there_need_no_root(machine):
    machine.program("dpkg-query", 'shift 3; for package; do echo "install ok installed:$package"; done')
    assert the_missing(machine.run("doctor.sh", "-q", "demo")) == []


def test_without_apt_it_says_so_unless_told_that_all_is_there(machine):
    (machine.bin / "apt-get").unlink()
    (line,) = the_missing(machine.run("doctor.sh", "-q", "demo"))
    assert "no apt-get" in line and "make demo DEPS=no" in line
    (line,) = the_missing(machine.run("doctor.sh", "-q", "demo", DEPS="no"))
    assert "c++ cmake ninja" in line
    for command in ("c++", "cmake", "ninja", "pkg-config", "protoc", "python3"):
        machine.program(command, "exit 0")
    assert the_missing(machine.run("doctor.sh", "-q", "demo", DEPS="no")) == []


def test_a_disk_that_is_too_small(machine):
    machine.program("sudo", "exit 0")
    machine.program("df", "echo Filesystem; echo /dev/sda 900000 899000 102400 99% /")
    lines = the_missing(machine.run("doctor.sh", "-q", "demo"))
    assert ["100 MiB are free" in line for line in lines] == [True] * len(lines) != []


def test_a_build_folder_of_another_place(machine):
    machine.program("sudo", "exit 0")
    (machine.tree / "build/dev").mkdir(parents=True)
    (machine.tree / "build/dev/CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/elsewhere\n")
    (line,) = the_missing(machine.run("doctor.sh", "-q", "demo"))
    assert "make clean" in line and "/elsewhere" in line


def test_caches_go_where_they_can(machine):
    assert machine.run("own_caches.sh").stdout == ""
    for environment in ({"HOME": "/nonexistent"}, {"XDG_CACHE_HOME": "/dev/null/caches"}):
        assert machine.run("own_caches.sh", **environment).stdout.strip() == f"{machine.tree}/build/cache"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("cores, free, limit, used, jobs", [
    (2, 20 * GIB, None, 0, 2), (16, 20 * GIB, None, 0, 16), (16, 4 * GIB, None, 0, 3), (4, GIB // 2, None, 0, 1),
    (16, 20 * GIB, 4 * GIB, GIB, 2), (16, 20 * GIB, "max", 0, 16)])  # fmt: skip
def test_compilers_follow_memory_and_its_limits(machine, tmp_path, version, cores, free, limit, used, jobs):
    machine.program("nproc", f"echo {cores}")
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    above = groups / ("memory/a" if version == 1 else "a")
    (above / "b").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 99999999 kB\nMemAvailable: {free // 1024} kB\n")
    (proc / "self/cgroup").write_text("3:cpuset:/\n4:memory:/a/b\n0::/\n" if version == 1 else "0::/a/b\n")
    if limit is not None:
        (above / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(f"{limit}\n")
        (above / ("memory.usage_in_bytes" if version == 1 else "memory.current")).write_text(f"{used}\n")
    assert machine.run("jobs.sh", proc, groups).stdout == f"{jobs}\n"


@pytest.mark.parametrize(
    "kind, log, said",
    [
        ("ninja", "-- Configuring done\n", "configuring"),
        ("ninja", "-- Build files\n[1/200] Building a.o\n[82/200] Building b.o\n", "41 % (82 of 200)"),
        ("apt", "Get:1 x\ndlstatus:3:12.5:Retrieving file 3 of 90\n", "12 % (3 of 90)"),
        ("apt", "dlstatus:90:99.5:Retrieving file 90 of 90\npmstatus:g++-12:34.2:Unpacking g++-12 (amd64)\n", "34 % (Unpacking g++-12 (amd64))"),
        ("apt", "Waiting for cache lock: It is held by process 7\n", "Waiting for cache lock: It is held by process 7"),
        ("last", "Collecting ray\n\nCollecting   grpcio\n\n", "Collecting   grpcio"),
    ],
)
def test_progress_is_read_from_the_log(machine, kind, log, said):
    (machine.tree / "log").write_text(log)
    assert machine.run("progress.sh", kind, "log").stdout.strip() == said


@pytest.mark.parametrize(
    "log, cause, advice",
    [
        ("[1/2] x\nFAILED: a.o \n/usr/bin/c++ -c a.cc\na.cc:1:2: error: no such thing\nninja: build stopped\n", "no such thing", None),
        ("[1/2] x\nFAILED: a.o \n/usr/bin/c++ -c a.cc\nc++: fatal error: Killed signal terminated program cc1plus\n", "Killed", "JOBS=1"),
        ("as: a.o: No space left on device\n", "No space", "disk is full"),
        ("E: Unable to locate package libucx-dev\n", "libucx-dev", "Debian 12"),
        ("pmstatus:x:1:y\nE: Failed to fetch http://mirror.invalid/x.deb  Could not resolve 'mirror.invalid'\n", "Failed to fetch", "http_proxy"),
    ],
)
def test_a_failure_shows_its_cause_and_what_to_do(machine, log, cause, advice):
    (machine.tree / "log").write_text(log)
    done = machine.run("failure.sh", "log")
    assert cause in done.stdout and "pmstatus" not in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("->")] == ([] if advice is None else [done.stdout.splitlines()[-1]])
    assert advice is None or advice in done.stdout


def test_a_step_says_how_it_ended_and_where_its_log_is(machine):
    good = machine.run("step.sh", "trying", "last", "sh", "-c", "echo hidden; exit 0")
    assert good.returncode == 0 and "trying: done in" in good.stdout and "hidden" not in good.stdout
    bad = machine.run("step.sh", "trying", "last", "sh", "-c", "echo the cause; exit 7")
    assert bad.returncode == 7 and "build/log/trying.log" in bad.stderr and "the cause" in bad.stderr
    shown = machine.run("step.sh", "-s", "trying", "last", "sh", "-c", "echo seen; exit 7")
    assert shown.returncode == 7 and shown.stdout.splitlines().count("seen") == 1
    assert (machine.tree / "build/log/steps").read_text().startswith("trying ")


def test_a_silent_step_is_heard_of_within_ten_seconds(machine):
    process = subprocess.Popen(
        [machine.tree / "make/step.sh", "waiting", "last", "sh", "-c", "echo deep in thought; exec sleep 60"],
        env=machine.environment,
        cwd=machine.tree,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "waiting ...\n"
        start = time.monotonic()
        assert "deep in thought" in process.stdout.readline()
        assert time.monotonic() - start < 10
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("kept", [False, True])
def test_ctrl_c_ends_a_step_with_130_and_only_what_must_be_is_finished(machine, kept):
    """As from a terminal: the signal goes to the whole process group. A command that must be finished is in a session of its own."""
    command = ["sh", "-c", "echo up > up; sleep 2; echo finished > finished"]
    command = ["-k", "trying", "last", "setsid", "-w", *command] if kept else ["trying", "last", *command]
    process = subprocess.Popen([machine.tree / "make/step.sh", *command], env=machine.environment, cwd=machine.tree, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True)  # fmt: skip
    deadline = time.monotonic() + 30
    while not (machine.tree / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert err.splitlines() == ["trying: stopped; the same command goes on from here"]
    assert (machine.tree / "finished").exists() == kept
    assert not (machine.tree / "build/log/trying.running").exists()


def test_half_a_python_environment_is_made_anew(machine):
    folder = machine.tree / "build/venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/half").touch()
    (machine.tree / "requirements.txt").write_text("")
    os.utime(machine.tree / "requirements.txt", (0, 0))
    assert machine.run("venv.sh", "build/venv", "requirements.txt").returncode == 0
    assert not (folder / "bin/half").exists() and (folder / "stamp").exists()
    pip = subprocess.run([folder / "bin/pip", "--version"], capture_output=True, text=True, timeout=60)
    assert pip.returncode == 0, "its path has a blank"
    (folder / "bin/half").touch()
    assert machine.run("venv.sh", "build/venv", "requirements.txt").stdout == "", "a whole one stays"
    assert (folder / "bin/half").exists()
