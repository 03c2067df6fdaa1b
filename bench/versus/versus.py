#!/usr/bin/env python3
"""Ours beside the field's own tools, like against like, interleaved: medians, their spread, and the ratio with its goal.

    versus.py --bin build/dev/bin [--place loopback,veth,vm] [--rounds 5] [--seconds 1] [--json] [--markdown FILE] [row ...]

Places: loopback and veth (network namespaces of its own, both with `cubic`; needs root), host (loopback of this machine as it
is), vm (RDMA verbs and UCX over them, in a VM with two Soft-RoCE devices), rdma (the same from within it: rxeA at 10.9.0.1, rxeB at
10.9.0.2). Rows that cannot run here say why.
"""

import argparse
import json
import multiprocessing
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers import CannotRun, Peers, Place

CONGESTION_CONTROL = "cubic"


@dataclass
class Row:
    name: str
    ours: Callable
    peer: str
    theirs: Callable
    goals: dict  # of a figure: the ratio ours / theirs that is wanted, below it for p50, p99 and cpu_s_per_gb, above it for gbps


def rows_of(place, p):
    if place.rdma:
        devices, rc, ud = ("rxeA:1", "rxeB:1"), "rc_verbs,ud_verbs:aux", "ud_verbs"
        return [
            Row("verbs ping", lambda: p.ours("ping", "verbs"), "ib_send_lat", lambda: p.perftest("ib_send_lat"), {"p50": 1.05}),
            Row("verbs write bw", lambda: p.ours("bw", "verbs"), "ib_write_bw", lambda: p.perftest("ib_write_bw"), {"gbps": 1.0}),
            Row("verbs read bw", lambda: p.ours("bw", "verbs", "--mode", "read", "--reverse"), "ib_read_bw", lambda: p.perftest("ib_read_bw"), {"gbps": 1.0}),
            Row("ucx rc ping", lambda: p.ours("ping", "ucx", "--ucx-tls", rc), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_lat", rc, devices), {"p50": 1.05}),
            Row("ucx rc bw", lambda: p.ours("bw", "ucx", "--ucx-tls", rc), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_bw", rc, devices), {"gbps": 1.0}),
            Row("ucx ud ping", lambda: p.ours("ping", "ucx", "--ucx-tls", ud), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_lat", ud, devices), {"p50": 1.05}),
        ]  # fmt: skip
    rows = [
        Row("tcp ping, both spin", lambda: p.ours("ping", "tcp"), "sockperf --nonblocked", lambda: p.sockperf("--nonblocked"), {"p50": 1.0}),
        Row("tcp ping, both block", lambda: p.ours("ping", "tcp", "--blocking"), "sockperf", p.sockperf, {"p50": 1.0}),
        Row("tcp ping, floor", lambda: p.ours("ping", "tcp"), "bare loop that spins", p.floor, {"p50": 1.05}),
        Row("tcp network rtt, idle", lambda: p.ours("ping", "tcp", "--blocking", "--interval", 1, "-D", p.seconds, figures="network_rtt_us"), "bare loop that spins", p.floor, {"p50": 1.2}),
        Row("tcp network rtt, busy", lambda: busy(lambda: p.ours("ping", "tcp", "--blocking", "--interval", 1, "-D", 2 * p.seconds, figures="network_rtt_us")), "ours, idle", lambda: p.ours("ping", "tcp", "--blocking", "--interval", 1, "-D", 2 * p.seconds, figures="network_rtt_us"), {"p50": 1.25, "p99": 1.25}),
        Row("tcp bw", lambda: p.ours("bw", "tcp"), "iperf3", p.iperf3, {"gbps": 2.5, "cpu_s_per_gb": 0.4}),
        Row("tcp bw, zero copy", lambda: p.ours("bw", "tcp"), "iperf3 -Z", lambda: p.iperf3("-Z"), {"gbps": 1.5}),
        Row("grpc stream ping", lambda: p.ours("ping", "grpc", "--mode", "stream"), "sync unary", lambda: p.grpc("grpc_sync", "ping"), {"p50": 0.15}),
        Row("grpc stream bw", lambda: p.ours("bw", "grpc", "--mode", "stream"), "sync unary, 1 MiB bytes", lambda: p.grpc("grpc_sync", "bw"), {"gbps": 3.0}),
        Row("grpc unary ping", lambda: p.ours("ping", "grpc", "--mode", "unary"), "bare async loop", lambda: p.grpc("grpc_loop", "ping", "unary"), {"p50": 1.1}),
        Row("grpc unary bw", lambda: p.ours("bw", "grpc", "--mode", "unary"), "bare async loop", lambda: p.grpc("grpc_loop", "bw", "unary"), {"gbps": 0.95}),
        Row("grpc raw stream ping", lambda: p.ours("ping", "grpc", "--mode", "stream"), "bare async loop", lambda: p.grpc("grpc_loop", "ping", "stream"), {"p50": 1.1}),
        Row("grpc raw stream bw", lambda: p.ours("bw", "grpc", "--mode", "stream"), "bare async loop", lambda: p.grpc("grpc_loop", "bw", "stream"), {"gbps": 0.95}),
    ]  # fmt: skip
    device = "lo" if place.addresses[0] == place.addresses[1] else "v0"
    rows += [
        Row("ucx tcp ping", lambda: p.ours("ping", "ucx", "--ucx-tls", "tcp"), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_lat", "tcp", (device, device)), {"p50": 1.05}),
        Row("ucx tcp bw", lambda: p.ours("bw", "ucx", "--ucx-tls", "tcp"), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_bw", "tcp", (device, device)), {"gbps": 1.0}),
        Row("ucx tcp bw, errors handled", lambda: p.ours("bw", "ucx", "--ucx-tls", "tcp"), "ucx_perftest -e", lambda: p.ucx_perftest("ucp_am_bw", "tcp", (device, device), "-e"), {"gbps": 1.0}),
    ]  # fmt: skip
    if device == "lo":
        shm = "posix,sysv,cma"
        rows += [
            Row("ucx shm ping", lambda: p.ours("ping", "ucx", "--ucx-tls", shm), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_lat", shm, None), {"p50": 1.05}),
            Row("ucx shm bw", lambda: p.ours("bw", "ucx", "--ucx-tls", shm), "ucx_perftest", lambda: p.ucx_perftest("ucp_am_bw", shm, None), {"gbps": 1.0}),
        ]  # fmt: skip
    return rows


def _burn():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pass


def busy(measure):
    """`measure` while each core has other work to do."""
    burners = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(os.cpu_count() or 1)]
    for burner in burners:
        burner.start()
    try:
        return measure()
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotRun(f"ip {' '.join(words)}: {done.stderr.strip()}")


@contextmanager
def namespace(name):
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        # By route: some hosts let no namespace choose its own default.
        ip("-n", name, "route", "replace", "local", "127.0.0.1", "dev", "lo", "table", "local", "src", "127.0.0.1", "congctl", CONGESTION_CONTROL)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


@contextmanager
def open_place(name):
    if name == "host":
        yield Place("host")
    elif name == "rdma":
        yield Place("rdma", addresses=("10.9.0.1", "10.9.0.2"), rdma=True)
    else:
        with ExitStack() as made:
            a = made.enter_context(namespace(f"versus-{os.getpid()}-a"))
            if name == "loopback":
                yield Place(name, a, a)
                return
            b = made.enter_context(namespace(f"versus-{os.getpid()}-b"))
            ip("link", "add", "v0", "netns", a, "type", "veth", "peer", "name", "v0", "netns", b)
            for netns, address in ((a, "10.77.1.1"), (b, "10.77.1.2")):
                ip("-n", netns, "addr", "add", f"{address}/24", "dev", "v0")
                ip("-n", netns, "link", "set", "v0", "up")
                ip("-n", netns, "route", "replace", "10.77.1.0/24", "dev", "v0", "src", address, "congctl", CONGESTION_CONTROL)
            yield Place(name, a, b, ("10.77.1.1", "10.77.1.2"))


def measure_in_vm(arguments):
    """The rows of `rdma`, as the VM measured them."""
    rdma_test = Path(__file__).parents[2] / "tests/vm/rdma_test.py"
    done = subprocess.run(
        [rdma_test, "versus", arguments.bin], stdout=subprocess.PIPE, text=True, env=os.environ | {"VERSUS_ROUNDS": str(arguments.rounds)}
    )
    try:
        return json.loads(done.stdout[done.stdout.index("{\n") :])["results"]
    except ValueError:
        return [{"place": "vm", "row": "all", "peer": "", "error": f"the VM gave no result, exit {done.returncode}"}]


EXPECTED_FAILURES = (CannotRun, subprocess.TimeoutExpired, AttributeError, IndexError, StopIteration, KeyError, ValueError)


def figures_of(sample):
    """A tool that prints 0 has measured nothing."""
    if not all(figure > 0 for figure in sample.values()):
        raise CannotRun(f"no figure: {sample}")
    return sample


def measure(rows, rounds, place_name):
    """{row: ([ours], [theirs]) or why not}; whoever goes first changes from round to round."""
    found: dict[str, tuple[list, list] | str] = {row.name: ([], []) for row in rows}
    for number in range(rounds):
        for row in rows:
            so_far = found[row.name]
            if isinstance(so_far, str):
                continue
            print(f"{place_name}, round {number + 1} of {rounds}: {row.name}", file=sys.stderr, flush=True)
            try:
                mine, others = so_far
                for into, run in ((mine, row.ours), (others, row.theirs))[:: 1 if number % 2 == 0 else -1]:
                    into.append(figures_of(run()))
            except EXPECTED_FAILURES as error:
                found[row.name] = f"{type(error).__name__}: {error}"
    return found


def summarize(place_name, row, found):
    entry = {"place": place_name, "row": row.name, "peer": row.peer}
    if isinstance(found, str):
        return [entry | {"error": found}]
    results = []
    for figure, goal in row.goals.items():
        mine, others = ([sample[figure] for sample in side] for side in found)
        ratios = [a / b for a, b in zip(mine, others, strict=True)]
        ratio = statistics.median(ratios)
        results.append(entry | {
            "figure": figure, "ours": statistics.median(mine), "ours_spread": [min(mine), max(mine)],
            "theirs": statistics.median(others), "theirs_spread": [min(others), max(others)],
            "ratio": ratio, "ratio_spread": [min(ratios), max(ratios)], "goal": goal,
            "met": ratio >= goal if figure == "gbps" else ratio <= goal,
        })  # fmt: skip
    return results


UNITS = {"p50": "µs p50", "p99": "µs p99", "gbps": "Gb/s", "cpu_s_per_gb": "CPU s/GB"}


def table(results):
    """Markdown, readable as it is."""
    lines = ["| place | measured | unit | ours | peer | theirs | ratio | goal | |", "|---|---|---|---|---|---|---|---|---|"]
    for r in results:
        if "error" in r:
            lines.append(f"| {r['place']} | {r['row']} | | | {r['peer']} | | | | could not run: {r['error'][:120]} |")
            continue
        spread = lambda key: f"{r[key]:.3g} ({r[key + '_spread'][0]:.3g}–{r[key + '_spread'][1]:.3g})"  # noqa: E731
        goal = f"{'≥' if r['figure'] == 'gbps' else '≤'} {r['goal']}"
        lines.append(
            f"| {r['place']} | {r['row']} | {UNITS[r['figure']]} | {spread('ours')} | {r['peer']} | {spread('theirs')} "
            f"| {spread('ratio')} | {goal} | {'met' if r['met'] else '**missed**'} |"
        )
    return "\n".join(lines) + "\n"


def page(results, arguments):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    return (
        "# netsense beside the field's tools\n\n"
        f"Made by `bench/versus/versus.py`: {arguments.rounds} interleaved rounds, {time.strftime('%Y-%m-%d', time.gmtime())}, "
        f"kernel {platform.release().split('-')[0]}, {os.cpu_count()} × {cpu}. Median, in brackets the smallest and the largest; the ratio is the median of the "
        f"rounds' ratios, ours / theirs. Full round trips, decimal Gb/s of payload, `{CONGESTION_CONTROL}` on both sides.\n\n" + table(results)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder with netsense-bench and the bare loops")
    parser.add_argument("--place", default="loopback,veth")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement, where it can be told")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", help="write the table into this file too")
    parser.add_argument("rows", nargs="*", help="only rows that contain one of these")
    arguments = parser.parse_args()
    results = []
    for name in arguments.place.split(","):
        if name == "vm":
            results += measure_in_vm(arguments)
            continue
        with open_place(name) as place:
            rdma = place.rdma
            p = Peers(
                place,
                Path(arguments.bin).resolve(),
                arguments.seconds,
                count=300 if rdma else max(1000, int(20000 * arguments.seconds)),
                limit=120 + 20 * arguments.seconds,
                fixed_bytes=(12 << 20) if rdma else None,
            )
            rows = [row for row in rows_of(place, p) if not arguments.rows or any(word in row.name for word in arguments.rows)]
            found = measure(rows, arguments.rounds, name)
            for row in rows:
                results += summarize(name, row, found[row.name])
    if arguments.markdown:
        Path(arguments.markdown).write_text(page(results, arguments) + (Path(__file__).parent / "explained.md").read_text())
    if arguments.json:
        print(json.dumps({"schema_version": 2, "rounds": arguments.rounds, "results": results}, indent=2))
    print(table(results), end="", file=sys.stderr if arguments.json else sys.stdout)
    return 1 if any("error" in result for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
