#!/usr/bin/env python3
"""What programs keep that they should give back: three nodes, of which one comes and goes, and sessions of a hand tool all the time.

Every minute a line: memory, threads and descriptors of the two engines (with their UCX child) and bridges that stay, and how many sessions their doors granted.
At the end, of the second half: growth of memory per hour and per 1,000 sessions, by a line through all looks. Exit code 0: what is grown
is less than MAX_KB_A_THOUSAND, and there are no more threads and descriptors than in the first half. The head's bridge remembers an hour of
every node that was there, in at most HISTORY_KB: that much it may hold in all. By hand (`make soak`).
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cluster import EmbeddedCluster
from netlab import NetLab

STAY = (1, 2)
COMES_AND_GOES = 3
EVERY_S = 10
MAX_KB_A_THOUSAND = 16
HISTORY_KB = 64 << 10  # raylet_bridge/cluster/edge_history.h
HEADS_OWN_KB = 32 << 10  # of the head's bridge, without it
MAX_MORE = 3  # threads or descriptors, which are counted in the middle of a session


def status_of(pid, field):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))


def look(pid):
    return {"kb": status_of(pid, "RssAnon"), "threads": status_of(pid, "Threads"), "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def slope(points):
    """Of the line through (x, y) with the least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def child_of(pid, program):
    """The one that runs that program."""
    children = [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    return next(int(child) for child in children if os.readlink(f"/proc/{child}/exe").endswith(program))


class Sessions:
    """Of the hand tool, over each transport, from node to node until the end: pings, and a stream of small messages."""

    def __init__(self, cluster, transports):
        self.cluster, self.transports, self.ended = cluster, transports, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=pair) for pair in (STAY, STAY[::-1])]

    def __enter__(self):
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def run(self, src, dst):
        door = f"{self.cluster.lab.address(dst)}:18590"
        token = self.cluster.directory / f"token-{src}"
        while not self.ended.is_set():
            for transport in self.transports:
                for probe in (("ping", "-n", "3", "--warmup", "0"), ("bw", "-n", "8", "--size", "16384")):
                    command = [self.cluster.bin / "netsense-bench", *probe, "-t", transport, "--token-file", token, door]
                    self.cluster.lab.run(src, command, env=self.cluster.environment)


def come_and_go(cluster, ended):
    """In order, and by a kill, in turn."""
    while not ended.wait(EVERY_S):
        cluster.stop_bridge(COMES_AND_GOES, signal.SIGKILL if int(time.monotonic() / EVERY_S) % 2 else signal.SIGTERM)
        cluster.start_bridge(COMES_AND_GOES)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder with the three programs")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--transports", default="tcp,grpc,ucx")
    arguments = parser.parse_args()
    transports = arguments.transports.split(",")
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="nsk-", ignore_cleanup_errors=True))
        settings = {"bw_enabled": "true", "transports": arguments.transports}
        cluster = stack.enter_context(EmbeddedCluster(stack.enter_context(NetLab(3)), arguments.bin, directory, settings=settings))
        cluster.wait_all_ok()
        watched = {f"engine {i}": cluster.engine_pid(i) for i in STAY} | {f"bridge {i}": cluster.bridges[i].pid for i in STAY}
        if "ucx" in transports:
            watched |= {f"ucx {i}": child_of(watched[f"engine {i}"], "netsense-ucx") for i in STAY}

        def granted():
            return sum(int(cluster.engine_status(i)["snapshot"]["counters"]["sessions_granted"]) for i in STAY)

        ended = threading.Event()
        mover = threading.Thread(target=come_and_go, args=(cluster, ended))
        stack.callback(mover.join)
        stack.callback(ended.set)
        stack.enter_context(Sessions(cluster, transports))
        mover.start()
        looks: dict[str, list] = {name: [] for name in watched}
        begin = time.monotonic()
        told = begin
        while (now := time.monotonic()) - begin < 60 * arguments.minutes:
            sessions = granted()
            for name, pid in watched.items():
                looks[name].append((now - begin, sessions, look(pid)))
            if now - told >= 60:
                told = now
                shown = "; ".join(
                    f"{name} {all[-1][2]['kb']} kB, {all[-1][2]['threads']} threads, {all[-1][2]['descriptors']} descriptors"
                    for name, all in looks.items()
                )
                print(f"{(now - begin) / 60:.0f} min, {sessions} sessions: {shown}", flush=True)
            time.sleep(max(0, EVERY_S - (time.monotonic() - now)))
        return judge(looks)


def judge(looks):
    good = True
    for name, all_looks in looks.items():
        first, second = all_looks[: len(all_looks) // 2], all_looks[len(all_looks) // 2 :]
        an_hour = slope([(t / 3600, seen["kb"]) for t, _, seen in second])
        a_thousand = slope([(sessions / 1000, seen["kb"]) for _, sessions, seen in second])
        more = {what: max(s[2][what] for s in second) - max(s[2][what] for s in first) for what in ("threads", "descriptors")}
        print(
            f"{name}: {an_hour:+.0f} kB an hour, {a_thousand:+.1f} kB a thousand sessions; at most {more['threads']:+d} threads, {more['descriptors']:+d} descriptors"
        )
        grown = all_looks[-1][2]["kb"] > HISTORY_KB + HEADS_OWN_KB if name == "bridge 1" else a_thousand > MAX_KB_A_THOUSAND
        good &= not grown and all(count <= MAX_MORE for count in more.values())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
