#!/usr/bin/env python3
"""The demo: three nodes with one slow link, and the matrix that shows it.

On a terminal it shows the live matrix until Ctrl-C; elsewhere it waits until every edge is measured, prints the matrix and ends.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C while modules are loaded ends this without a word

import argparse  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from contextlib import ExitStack  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster, EmbeddedCluster, RayCluster  # noqa: E402
from netlab import NetLab, die_with_parent, namespaces_allowed  # noqa: E402

SLOW_LINK = "200mbit"
SETTINGS = {"tick_ms": "500", "rtt_ttl_ms": "3000", "lease_ms": "3000", "bw_enabled": "true", "bw_slot_ms": "200", "transports": "tcp,grpc,ucx"}
# Emulated, and slow. Both nodes see both devices, so neither has rails.
RDMA_SETTINGS = {"transports": "tcp,grpc,ucx,verbs", "rails": "off", "tick_ms": "1000", "rtt_ttl_ms": "20000", "lease_ms": "20000", "rtt_timeout_ms": "10000",
                 "bw_slot_ms": "5000", "bw_payload_bytes": "262144"}  # fmt: skip
READY_WITHIN = 180
SAY_EVERY = 5


class AddressLab:
    """Some addresses of one host, for where network namespaces are not allowed or not wanted. No link is made slow there."""

    def __init__(self, addresses):
        self._addresses = addresses
        self.nodes = len(addresses)

    def __enter__(self):
        self._started = []
        return self

    def __exit__(self, *_):
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()

    def address(self, i):
        return self._addresses[i - 1]

    def popen(self, _, arguments, **options):
        process = subprocess.Popen([str(a) for a in arguments], preexec_fn=die_with_parent, **options)
        self._started.append(process)
        return process

    @staticmethod
    def run(_, arguments, **options):
        options = {"capture_output": True, "text": True, "timeout": 120} | options
        return subprocess.run([str(a) for a in arguments], **options)


def say(text):
    print(text, file=sys.stderr, flush=True)


def without_signals(how):
    """SIG_BLOCK or SIG_UNBLOCK: what is half made could not be removed, so Ctrl-C waits until it is made."""
    signal.pthread_sigmask(how, {signal.SIGINT, signal.SIGTERM})


def stop(*_):
    """Once: what is started is then taken down undisturbed."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def measure(cluster: Cluster):
    """Until every edge has full windows: the first samples are those of cold caches."""
    nodes, transports = cluster.lab.nodes, cluster.settings["transports"].split(",")
    wanted = nodes * (nodes - 1) * len(transports)
    start = said = time.monotonic()
    while True:
        known = [e for e in cluster.paths().values() if e["state"] == "OK" and e["bw_mbps"] is not None]
        settled = [e for e in known if e["bw_samples"] >= 3 and e["rtt_samples"] >= 5]
        now = time.monotonic()
        if len(settled) == wanted:
            say(f"Measured after {now - start:.0f} s.")
            return
        if now - start > READY_WITHIN:
            raise TimeoutError(f"{len(known)} of {wanted} edges measured within {READY_WITHIN} s")
        if now - said >= SAY_EVERY:
            say(f"measuring: {len(known)} of {wanted} edges have figures, {len(settled)} of them steady ones [{now - start:.0f} s]")
            said = now
        time.sleep(0.5)


def show_live(cluster: Cluster):
    """`status --watch` on our terminal until Ctrl-C; the last frame stays."""
    command = [cluster.bin / "netsense-bridge", "status", "--gcs-address", cluster.gcs_address, "--watch", "1", *cluster.gcs_token_flags(1)]
    watch = cluster.lab.popen(1, command, env=cluster.environment | {"TERM": "xterm-256color"})
    try:
        watch.wait()
    except KeyboardInterrupt:
        watch.send_signal(signal.SIGINT)
        watch.wait(timeout=5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder with the three programs")
    parser.add_argument("--ray", help="path of a `ray` command: run beside a real Ray cluster of three raylets")
    parser.add_argument("--rdma", action="store_true", help="two nodes at 10.9.0.1 and 10.9.0.2, as in the VM with Soft-RoCE; verbs too")
    parser.add_argument("--loopback", action="store_true", help="three loopback addresses even where namespaces are allowed")
    arguments = parser.parse_args()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with ExitStack() as stack:
        # Short: Ray's sockets lie below it, and a Unix socket's name has 107 bytes.
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsd-", ignore_cleanup_errors=True)))
        without_signals(signal.SIG_BLOCK)
        why_not = "as asked" if arguments.loopback else namespaces_allowed()
        settings = dict(SETTINGS)
        if arguments.rdma:
            lab = stack.enter_context(AddressLab(["10.9.0.1", "10.9.0.2"]))
            settings |= RDMA_SETTINGS
            say("Two nodes with a Soft-RoCE device each.")
        elif why_not is None:
            lab = stack.enter_context(NetLab(nodes=3))
            lab.slow_down(2, 3, SLOW_LINK)
            say(f"Three nodes in network namespaces; the link between {lab.address(2)} and {lab.address(3)} is shaped to 200 Mb/s.")
        elif arguments.ray:
            say(f"demo-ray needs network namespaces, one a raylet: {why_not}. Run it as root, or try `make demo`.")
            return 1
        else:
            lab = stack.enter_context(AddressLab(["127.0.0.1", "127.0.0.2", "127.0.0.3"]))
            say(f"Three nodes on loopback addresses of this host. No link is slow: that takes network namespaces, and root ({why_not}).")
        without_signals(signal.SIG_UNBLOCK)
        if arguments.ray:
            say("Starting Ray on each of them (some ten seconds) ...")
            cluster: Cluster = RayCluster(lab, arguments.bin, directory, arguments.ray, settings=settings)
        else:
            cluster = EmbeddedCluster(lab, arguments.bin, directory, settings=settings)
        stack.enter_context(cluster)
        stack.callback(without_signals, signal.SIG_BLOCK)  # what is taken down is taken down whole
        if sys.stdout.isatty():
            show_live(cluster)
            return 0
        say("Measuring every edge, in both directions, over each transport ...")
        try:
            measure(cluster)
        except TimeoutError as error:
            say(f"{error}. What there is, and the bridges' last words:")
            print(cluster.status_run().stdout)
            for i in range(1, lab.nodes + 1):
                say(f"--- node {i}\n" + "\n".join(cluster.log(i).splitlines()[-10:]))
            return 1
        status = cluster.status_run()
        print(status.stdout, end="", flush=True)
        seen = cluster.status()  # `status` ends with 1 for the link that is slow
        return 0 if seen is not None and seen["num_ok_edges"] == seen["num_edges"] else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("demo: stopped")
        sys.exit(130)
