"""The field's own tools, each run once and read: {"p50", "p99"} of the full round trip in µs, or {"gbps", "cpu_s_per_gb"}.

Round trips are full ones: what prints half is doubled. Bandwidth is decimal Gb/s of payload. Processor time is that of both sides.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress

UCX = {"UCX_WARN_UNUSED_ENV_VARS": "n"}
RDMA_UCX = {"UCX_UD_VERBS_ETH_DGID_CHECK": "n", "UCX_UD_VERBS_TIMEOUT": "20s"}


class CannotRun(Exception):
    pass


class Place:
    """Where both sides run: network namespaces (None = this one), their addresses, RDMA devices."""

    def __init__(self, name, here=None, there=None, addresses=("127.0.0.1", "127.0.0.1"), rdma=False):
        self.name, self.addresses, self.rdma = name, addresses, rdma
        self._here, self._there = here, there

    def here(self, command):
        return self._in(self._here, command)

    def there(self, command):
        return self._in(self._there, command)

    @staticmethod
    def _in(namespace, command):
        words = [str(word) for word in command]
        return ["ip", "netns", "exec", namespace, *words] if namespace else words


def free_port():
    """One that nobody listens on in any namespace of ours is as good as any."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _needs(program):
    if shutil.which(str(program)) is None:
        raise CannotRun(f"no {program} here")


@contextmanager
def serving(place, command, ready=None, **environment):
    """The far side, until the block ends. `ready`: a TCP port that it must listen on first; else its first line is read."""
    _needs(command[0])
    process = subprocess.Popen(
        place.there(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | environment,
        start_new_session=True,
    )
    try:
        if ready is None:
            yield process.stdout.readline()
        else:
            _await_listener(place, process, ready)
            yield ""
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _await_listener(place, process, port):
    wanted = f":{port:04X}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for table in ("tcp", "tcp6"):  # the process's own namespace
            for line in open(f"/proc/{process.pid}/net/{table}").read().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(wanted) and fields[3] == "0A":
                    return
        time.sleep(0.02)
    raise CannotRun(f"nobody listens on port {port}")


def ask(place, command, timeout, **environment):
    _needs(command[0])
    done = subprocess.run(place.here(command), capture_output=True, text=True, timeout=timeout, env=os.environ | environment)
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(map(str, command))}: exit {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def processor_seconds():
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Peers:
    def __init__(self, place, bin_dir, seconds, count, limit, fixed_bytes=None):
        self.place, self.bin, self.seconds, self.count, self.limit = place, bin_dir, seconds, count, limit
        self.fixed_bytes = fixed_bytes  # emulated RDMA is slow: a fixed amount instead of a time
        self.here, self.there = place.addresses

    # ---- ours

    def ours(self, what, transport, *flags, figures="rtt_us"):
        before = processor_seconds()
        serve = [self.bin / "netsense-bench", "serve", "--listen", f"{self.there}:0", "--insecure", "--json"]
        with serving(self.place, serve, **RDMA_UCX) as line:
            port = json.loads(line)["port"]
            bound = ["-n", self.count] if what == "ping" else ["-D", self.seconds]
            if what == "bw" and self.fixed_bytes:
                bound = ["-n", self.fixed_bytes >> 20]
            if what == "ping" and self.fixed_bytes:
                bound += ["--timeout", 60000]
            if "-D" in flags:
                bound = []
            output = ask(
                self.place,
                [self.bin / "netsense-bench", what, f"{self.there}:{port}", "-t", transport, "--insecure", "--json",
                 "--source-address", self.here, *bound, *flags],
                self.limit,
                **RDMA_UCX,
            )  # fmt: skip
        row = json.loads(output)["results"][0]
        if what == "ping":
            return {"p50": row[figures]["p50"], "p99": row[figures]["p99"]}
        return self._bandwidth(row["bw_gbps"]["avg"], row["bytes"], before)

    @staticmethod
    def _bandwidth(gbps, moved, before):
        return {"gbps": gbps, "cpu_s_per_gb": (processor_seconds() - before) / (moved / 1e9)}

    # ---- TCP

    def sockperf(self, *flags):
        port = free_port()
        with serving(self.place, ["sockperf", "server", "--tcp", *flags, "-i", self.there, "-p", port], port):
            text = ask(
                self.place,
                ["sockperf", "ping-pong", "--tcp", *flags, "-i", self.there, "-p", port, "-m", 96, "-t", max(1, round(self.seconds)), "--full-rtt"],
                self.limit,
            )
        p50, p99 = (float(re.search(rf"percentile {p}0* = +([\d.]+)", text).group(1)) for p in (r"50\.0", r"99\.0"))
        return {"p50": p50, "p99": p99}

    def floor(self):
        port = free_port()
        with serving(self.place, [self.bin / "tcp_floor", "serve", self.there, port], port):
            return self._ping(ask(self.place, [self.bin / "tcp_floor", "ping", self.there, port, self.count], self.limit))

    @staticmethod
    def _ping(text):
        p50, p99 = map(float, text.split())
        return {"p50": p50, "p99": p99}

    def iperf3(self, *flags):
        before = processor_seconds()
        port = free_port()
        with serving(self.place, ["iperf3", "-s", "-1", "-B", self.there, "-p", port], port):
            text = ask(self.place, ["iperf3", "-c", self.there, "-p", port, "-t", max(1, round(self.seconds)), *flags, "-J"], self.limit)
        received = json.loads(text)["end"]["sum_received"]
        return self._bandwidth(received["bits_per_second"] / 1e9, received["bytes"], before)

    # ---- gRPC

    def grpc(self, program, what, *mode):
        address = f"{self.there}:{free_port()}"
        with serving(self.place, [self.bin / program, "serve", address, *mode]):
            amount = self.count if what == "ping" else self.seconds
            text = ask(self.place, [self.bin / program, what, address, *mode, amount], self.limit)
        return self._ping(text) if what == "ping" else {"gbps": float(text)}

    # ---- UCX and RDMA

    def ucx_perftest(self, test, tls, devices, *more):
        settings = UCX | RDMA_UCX | {"UCX_TLS": tls}
        here, there = dict(settings), dict(settings)
        if devices:
            here["UCX_NET_DEVICES"], there["UCX_NET_DEVICES"] = devices
        latency = test == "ucp_am_lat"
        size = 64 if latency else (65536 if self.place.rdma else 1 << 20)
        count = self.count if latency else (self.fixed_bytes // size if self.fixed_bytes else int(3000 * self.seconds))
        port = free_port()
        with serving(self.place, ["ucx_perftest", "-p", port, *more], port, **there):
            text = ask(
                self.place,
                ["ucx_perftest", self.there, "-p", port, "-t", test, "-s", size, "-n", count, "-w", min(count, 100), "-R", 50, "-f", *more],
                self.limit,
                **here,
            )
        fields = text.strip().splitlines()[-1].split()
        if latency:
            return {"p50": 2 * float(fields[1])}  # it prints half round trips
        return {"gbps": float(fields[5]) * 8 * 1.048576 / 1000}  # it prints MiB a second

    def perftest(self, tool):
        latency = tool == "ib_send_lat"
        size = 64 if latency else 65536
        count = self.count if latency else max(100, self.fixed_bytes // size)
        port = free_port()
        common = ["-x", 1, "-s", size, "-p", port, "-F", "-n", count]
        with serving(self.place, [tool, "-d", "rxeB", *common], port):
            text = ask(self.place, [tool, "-d", "rxeA", *common, self.there], self.limit)
        fields = next(row for row in text.splitlines() if row.split()[:1] == [str(size)]).split()
        if latency:
            return {"p50": 2 * float(fields[4]), "p99": 2 * float(fields[7])}  # it prints half round trips
        return {"gbps": float(fields[3]) * 0.008 * 1.048576}  # it prints MiB a second
