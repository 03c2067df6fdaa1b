"""Which steps the RDMA tests have. A step is one command in the guest, judged by its exit code, with seconds after which it
hangs: it may take many times longer there than on the host."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CONFORMANCE_SECONDS = 400


class Step(NamedTuple):
    name: str
    seconds: int
    command: str


# Emulation: opening a session and the like take so many times longer, while what the tests in the guest measure of the
# machine's pace (tests/lab/pace.h, on top of this) is its arithmetic, which does not.
EMULATION = 10

# What every step finds, beside NETSENSE_TIME_SCALE.
PLACE = {
    "CI": "true",  # what cannot run is a failure
    "NETSENSE_CONFORMANCE_PROBER": "10.9.0.1",
    "NETSENSE_CONFORMANCE_RESPONDER": "10.9.0.2",
    # Both RDMA devices are in one network namespace, and emulation is slow: UCX must be told.
    "UCX_UD_VERBS_ETH_DGID_CHECK": "n",
    "UCX_UD_VERBS_TIMEOUT": "20s",
    "UCX_WARN_UNUSED_ENV_VARS": "n",
    # Soft-RoCE tells more than once that a shared receive queue is drained, and UCX aborts at the second time.
    "UCX_IB_ASYNC_EVENTS": "n",
}

# Each operation over a real queue pair once.
OPERATIONS = {
    "PingOfEverySize": ("write_blocking", "write_busy_poll"),
    "StreamCountsEveryByteBothWays": ("write_blocking", "read_blocking"),
    "FaultPeerKilledInMidPing": ("write_blocking",),
    "FaultPeerKilledInMidStream": ("write_blocking",),
}
UCX_OPERATIONS = {
    "PingOfEverySize": ("rc_blocking", "ud_blocking"),
    "StreamCountsEveryByteBothWays": ("rc_blocking", "ud_blocking"),
    "FaultPeerKilledInMidPing": ("rc_blocking", "ud_blocking"),
}


def gtest_steps(kind, program, wanted="*", environment=""):
    """A step for each test of the program that the filter lets through: a process each, so that a guest that dies costs one."""
    listed = subprocess.run([program, "--gtest_list_tests", f"--gtest_filter={wanted}"], stdout=subprocess.PIPE, text=True)
    if listed.returncode != 0:
        sys.exit(f"rdma_test: {program} does not list its tests: is it built?")
    steps, suite = [], ""
    for line in listed.stdout.splitlines():
        test = line.split("#")[0].strip()
        if not line.startswith(" "):
            suite = test
            continue
        name, _, way = test.partition("/")
        steps.append(
            Step(
                ".".join(filter(None, (kind, way, name))),
                CONFORMANCE_SECONDS,
                f"{environment}exec {shlex.quote(str(program))} --gtest_filter={suite}{test}",
            )
        )
    if not steps:
        sys.exit(f"rdma_test: {program} has no test {wanted}")
    return steps


def steps_of(kind, program, operations):
    """One for each, or it is no test of the program any more."""
    wanted = [f"*.{test}/{way}" for test, ways in operations.items() for way in ways]
    steps = gtest_steps(kind, program, ":".join(wanted))
    if len(steps) != len(wanted):
        sys.exit(f"rdma_test: {program} has {len(steps)} of the tests {', '.join(wanted)}")
    return steps


def has_ucx(bin_folder):
    return (bin_folder / "conformance_ucx_rdma").exists()


# What another way of the same backend can change. That each test holds in every way: conformance.verbs and conformance.ucx, on the host.
OF_A_WAY = "*.Ping*/{0}:*.Stream*/{0}:*.FaultPeerKilled*/{0}"


def verbs(bin_folder):
    """Every test in one way, and in the others what the way can change; spinning, on a machine of one CPU, what measures."""
    wanted = [
        "*/write_blocking",
        OF_A_WAY.format("read_blocking"),
        "*.Ping*/write_busy_poll",
        "*.AccuracyTheHold*/write_busy_poll",
        "*.StreamCounts*/*_busy_poll",
    ]
    return gtest_steps("verbs", bin_folder / "conformance_verbs", ":".join(wanted))


def ucx(bin_folder):
    """The same, over rc and ud. And a peer that never answers UCX."""
    if not has_ucx(bin_folder):
        return []
    wanted = ["*/rc_blocking", OF_A_WAY.format("ud_blocking"), "*.PingOfEverySize/*_busy_poll", "*.AccuracyTheHold*/ud_busy_poll"]
    return gtest_steps("ucx", bin_folder / "ucx_tests", environment="NETSENSE_TEST_RDMA=1 ") + gtest_steps(
        "ucx", bin_folder / "conformance_ucx_rdma", ":".join(wanted)
    )


def operations(bin_folder):
    steps = steps_of("verbs", bin_folder / "conformance_verbs", OPERATIONS)
    if has_ucx(bin_folder):
        steps += steps_of("ucx", bin_folder / "conformance_ucx_rdma", UCX_OPERATIONS)
    return steps


def guest_test(bin_folder, what, seconds, *arguments):
    words = [str(HERE / f"guest_{what}.sh"), str(bin_folder), *map(str, arguments)]
    return [Step(what, seconds, "exec " + shlex.join(words))]


def removal(bin_folder, rounds):
    """A device that is removed and added again in the middle of measuring."""
    return guest_test(bin_folder, "removal", 120 + 30 * rounds, rounds)


def rails(bin_folder):
    """Two rails of two devices: how they are told apart, and that a probe on one leaves no packet on the other."""
    return guest_test(bin_folder, "rails", 300)


def clock(bin_folder):
    """The wall clock is put back and forward: it is the guest's own, and nowhere else one that may be set."""
    return guest_test(bin_folder, "clock", 1500)


def versus_command(bin_folder):
    return shlex.join([str(HERE.parents[1] / "bench/versus/versus.py"), "--bin", str(bin_folder), "--place", "rdma", "--json"])


def from_file(file):
    return [Step(name, int(seconds), command) for name, seconds, command in (line.rstrip("\n").split("\t") for line in open(file))]


# What -> bin folder -> [(steps, seconds)]: a VM each, side by side, for each waits more than it works.
LANES = {
    "rdma": lambda bin: [(operations(bin) + removal(bin, 3) + rails(bin), 1700)],
    "matrix": lambda bin: [(verbs(bin) + removal(bin, 20) + rails(bin) + clock(bin), 4500), (ucx(bin), 3000)],
    "verbs": lambda bin: [(verbs(bin), 2400)],
    "ucx": lambda bin: [(ucx(bin), 2400)],
    "removal": lambda bin: [(removal(bin, 20), 1200)],
    "rails": lambda bin: [(rails(bin), 400)],
    "clock": lambda bin: [(clock(bin), 1800)],
}


def lanes_of(what, bin_folder):
    if what in LANES:
        return [lane for lane in LANES[what](bin_folder) if lane[0]]
    if Path(what).is_file():
        return [(from_file(what), 600)]
    sys.exit(f"rdma_test: no test '{what}': {', '.join([*LANES, *ALONE])}, or a file of steps")


# What is run for its output: what -> bin folder -> (command, seconds).
ALONE = {
    # UCX over tcp: while it sets up RDMA in an emulator that is too slow for its deadlines it aborts.
    "demo": lambda bin: (f"UCX_TLS=tcp exec python3 {shlex.quote(str(HERE.parent / 'lab/demo.py'))} --bin {shlex.quote(str(bin))} --rdma", 1200),
    "versus": lambda bin: (f"exec {versus_command(bin)} --rounds ${{VERSUS_ROUNDS:-1}}", 1200),
}
