#!/usr/bin/env python3
"""Ours beside the field's own tools, like against like, interleaved: medians and their ratios.

    versus.py --bin build/release/bin [--rounds 5] [--seconds 1] [--json] [--rdma] [row ...]

Round trips are full ones (tools that print half are doubled), bandwidth is decimal Gb/s. Both sides spin where the tool can.
Rows that cannot run here say why. --rdma: the rows of a machine with rxeA at 10.9.0.1 and rxeB at 10.9.0.2 (tests/vm).
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

UCX = {"UCX_WARN_UNUSED_ENV_VARS": "n"}
RDMA_UCX = {"UCX_UD_VERBS_ETH_DGID_CHECK": "n", "UCX_UD_VERBS_TIMEOUT": "20s"}


class CannotRun(Exception):
    pass


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def start(command, **environment):
    if shutil.which(command[0]) is None:
        raise CannotRun(f"no {command[0]} here")
    return subprocess.Popen(
        [str(c) for c in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()


def ask(command, timeout, **environment):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, env=os.environ | environment)
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(map(str, command))}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def listening(port):
    """Until someone listens on TCP `port`."""
    wanted = f":{port:04X}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return
        time.sleep(0.05)
    raise CannotRun(f"nobody listens on port {port}")


class Versus:
    def __init__(self, arguments):
        self.bin = Path(arguments.bin).resolve()
        self.seconds = arguments.seconds
        self.rdma = arguments.rdma
        self.here, self.there = ("10.9.0.1", "10.9.0.2") if arguments.rdma else ("127.0.0.1", "127.0.0.1")
        self.limit = 120 + 20 * arguments.seconds
        self.count = 300 if arguments.rdma else max(1000, int(20000 * arguments.seconds))
        self.bytes = (12 << 20) if arguments.rdma else None  # emulated RDMA is slow: a fixed amount

    # ---- ours

    def ours(self, what, transport, *flags):
        server = start([self.bin / "netsense-bench", "serve", "--listen", f"{self.there}:0", "--insecure", "--json"], **RDMA_UCX)
        try:
            port = json.loads(server.stdout.readline())["port"]
            bound = ["-n", self.count] if what == "ping" else ["-D", self.seconds]
            if what == "bw" and self.bytes:
                bound = ["-n", self.bytes >> 20]
            output = ask(
                [self.bin / "netsense-bench", what, f"{self.there}:{port}", "-t", transport, "--insecure", "--json",
                 "--source-address", self.here, *bound, *flags],
                self.limit,
                **RDMA_UCX,
            )  # fmt: skip
        finally:
            stop(server)
        result = json.loads(output)["results"][0]
        if what == "ping":
            return result["rtt_us"]["p50"], result["rtt_us"]["p99"]
        return (result["bw_gbps"]["avg"],)

    # ---- theirs

    def sockperf(self):
        port = free_port(self.there)
        server = start(["sockperf", "server", "--tcp", "--nonblocked", "-i", self.there, "-p", port])
        try:
            listening(port)
            text = ask(["sockperf", "ping-pong", "--tcp", "--nonblocked", "-i", self.there, "-p", port, "-m", 96, "-t",
                        max(1, round(self.seconds)), "--full-rtt"], self.limit)  # fmt: skip
        finally:
            stop(server)
        return tuple(float(re.search(rf"percentile {p}0* = +([\d.]+)", text).group(1)) for p in (r"50\.0", r"99\.0"))

    def iperf3(self):
        port = free_port(self.there)
        server = start(["iperf3", "-s", "-1", "-B", self.there, "-p", port])
        try:
            listening(port)
            text = ask(["iperf3", "-c", self.there, "-p", port, "-t", max(1, round(self.seconds)), "-Z", "-J"], self.limit)
        finally:
            stop(server)
        return (json.loads(text)["end"]["sum_received"]["bits_per_second"] / 1e9,)

    def grpc_loop(self, what, mode):
        address = f"{self.there}:{free_port(self.there)}"
        server = start([self.bin / "grpc_loop", "serve", address])
        try:
            server.stdout.readline()
            text = ask([self.bin / "grpc_loop", what, address, mode, self.count if what == "ping" else self.seconds], self.limit)
        finally:
            stop(server)
        return tuple(float(word) for word in text.split())

    def ucx_perftest(self, test, tls, devices):
        settings = UCX | RDMA_UCX | {"UCX_TLS": tls}
        here, there = dict(settings), dict(settings)
        if devices:
            here["UCX_NET_DEVICES"], there["UCX_NET_DEVICES"] = devices
        port = free_port(self.there)
        server = start(["ucx_perftest", "-p", port], **there)
        latency = test == "ucp_am_lat"
        size = 64 if latency else (65536 if self.rdma else 1 << 20)
        count = self.count if latency else (self.bytes // size if self.bytes else int(3000 * self.seconds))
        try:
            listening(port)
            text = ask(["ucx_perftest", self.there, "-p", port, "-t", test, "-s", size, "-n", count, "-w",
                        min(count, 100), "-R", 50, "-f"], self.limit, **here)  # fmt: skip
        finally:
            stop(server)
        fields = text.strip().splitlines()[-1].split()
        if latency:
            return 2 * float(fields[1]), None  # it prints half round trips
        return (float(fields[5]) * 8 * 1.048576 / 1000,)  # it prints MiB a second

    def perftest(self, tool, size, column, scale):
        port = free_port(self.there)
        common = ["-x", 1, "-s", size, "-p", port, "-F"]
        count = self.count if "lat" in tool else max(100, self.bytes // size)
        server = start([tool, "-d", "rxeB", *common, "-n", count])
        try:
            listening(port)
            text = ask([tool, "-d", "rxeA", *common, "-n", count, self.there], self.limit)
        finally:
            stop(server)
        line = next(row for row in text.splitlines() if row.split()[:1] == [str(size)])
        return tuple(scale * float(line.split()[i]) for i in column)

    # ---- rows: name, unit, ours, witness's name, witness

    def rows(self):
        ours = self.ours
        if not self.rdma:
            lo = ("lo", "lo")
            shm = "posix,sysv,cma"
            return [
                ("tcp ping", "us", lambda: ours("ping", "tcp"), "sockperf", self.sockperf),
                ("tcp bw", "Gb/s", lambda: ours("bw", "tcp"), "iperf3 -Z", self.iperf3),
                ("grpc unary ping", "us", lambda: ours("ping", "grpc", "--mode", "unary"), "bare loop", lambda: self.grpc_loop("ping", "unary")),
                ("grpc unary bw", "Gb/s", lambda: ours("bw", "grpc", "--mode", "unary"), "bare loop", lambda: self.grpc_loop("bw", "unary")),
                ("grpc stream ping", "us", lambda: ours("ping", "grpc", "--mode", "stream"), "bare loop", lambda: self.grpc_loop("ping", "stream")),
                ("grpc stream bw", "Gb/s", lambda: ours("bw", "grpc", "--mode", "stream"), "bare loop", lambda: self.grpc_loop("bw", "stream")),
                ("ucx tcp ping", "us", lambda: ours("ping", "ucx", "--ucx-tls", "tcp"), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_lat", "tcp", lo)),
                ("ucx tcp bw", "Gb/s", lambda: ours("bw", "ucx", "--ucx-tls", "tcp"), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_bw", "tcp", lo)),
                ("ucx shm ping", "us", lambda: ours("ping", "ucx", "--ucx-tls", shm), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_lat", shm, None)),
                ("ucx shm bw", "Gb/s", lambda: ours("bw", "ucx", "--ucx-tls", shm), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_bw", shm, None)),
            ]  # fmt: skip
        rdma = ("rxeA:1", "rxeB:1")
        rc, ud = "rc_verbs,ud_verbs:aux", "ud_verbs"
        return [
            ("verbs ping", "us", lambda: ours("ping", "verbs"), "ib_send_lat", lambda: self.perftest("ib_send_lat", 64, (4, 7), 2)),
            ("verbs write bw", "Gb/s", lambda: ours("bw", "verbs"), "ib_write_bw", lambda: self.perftest("ib_write_bw", 65536, (3,), 0.008 * 1.048576)),
            ("verbs read bw", "Gb/s", lambda: ours("bw", "verbs", "--mode", "read", "--reverse"), "ib_read_bw", lambda: self.perftest("ib_read_bw", 65536, (3,), 0.008 * 1.048576)),
            ("ucx rc ping", "us", lambda: ours("ping", "ucx", "--ucx-tls", rc), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_lat", rc, rdma)),
            ("ucx rc bw", "Gb/s", lambda: ours("bw", "ucx", "--ucx-tls", rc), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_bw", rc, rdma)),
            ("ucx ud ping", "us", lambda: ours("ping", "ucx", "--ucx-tls", ud), "ucx_perftest", lambda: self.ucx_perftest("ucp_am_lat", ud, rdma)),
        ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder with netsense-bench and grpc_loop")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one measurement, where it can be told")
    parser.add_argument("--rdma", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("rows", nargs="*", help="only rows that contain one of these")
    arguments = parser.parse_args()
    versus = Versus(arguments)
    rows = [row for row in versus.rows() if not arguments.rows or any(word in row[0] for word in arguments.rows)]
    ours = {row[0]: [] for row in rows}
    theirs = {row[0]: [] for row in rows}
    failures = {}
    for number in range(arguments.rounds):
        for name, _, measure, _, witness in rows:
            if name in failures:
                continue
            print(f"round {number + 1} of {arguments.rounds}: {name}", file=sys.stderr, flush=True)
            try:
                # Whoever goes first changes from round to round.
                for into, run in ((ours, measure), (theirs, witness))[:: 1 if number % 2 == 0 else -1]:
                    into[name].append(run())
            except (CannotRun, subprocess.TimeoutExpired, AttributeError, IndexError, StopIteration, ValueError) as error:
                failures[name] = f"{type(error).__name__}: {error}"
    results = []
    for name, unit, _, witness_name, _ in rows:
        if name in failures:
            results.append({"row": name, "error": failures[name]})
            continue
        mine = statistics.median(v[0] for v in ours[name])
        other = statistics.median(v[0] for v in theirs[name])
        result = {"row": name, "unit": unit, "ours": mine, "witness": witness_name, "theirs": other,
                  "ratio": statistics.median(a[0] / b[0] for a, b in zip(ours[name], theirs[name]))}  # fmt: skip
        if unit == "us":
            result["ours_p99"] = statistics.median(v[1] for v in ours[name])
            if all(v[1] is not None for v in theirs[name]):
                result["theirs_p99"] = statistics.median(v[1] for v in theirs[name])
        results.append(result)
    if arguments.json:
        print(json.dumps({"schema_version": 1, "rounds": arguments.rounds, "results": results}, indent=2))
    else:
        print(f"{'':<18} {'ours p50':>10} {'p99':>10}  {'witness':<14} {'p50':>10} {'p99':>10}  {'ratio':>6}")
        for r in results:
            if "error" in r:
                print(f"{r['row']:<18} {r['error']}")
                continue
            p99 = [f"{r[key]:.2f}" if key in r else "" for key in ("ours_p99", "theirs_p99")]
            print(f"{r['row']:<18} {r['ours']:>10.2f} {p99[0]:>10}  {r['witness']:<14} {r['theirs']:>10.2f} {p99[1]:>10}  {r['ratio']:>6.2f}  {r['unit']}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
