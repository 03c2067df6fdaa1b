#!/usr/bin/env python3
"""Does things to a cluster, one after another and sometimes two at once, and has everything that it says meanwhile recorded and checked.

    nemesis.py --bin build/dev/bin --seeds 7 [--minutes 5] [--kinds cut,kill-engine]

What it does follows from the seed. Each fault is injected, lasts some seconds, is healed, and then it waits until all is good. The record
is kept (--records); checker.py judges it, at once and whenever it is asked again. Exit code: the checker's. Needs root.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))

import netlab
import pace
from chaos_cluster import SHARED, Changeable, ChaosCluster, ChaosRayCluster
from chaos_lab import ChaosLab
from checker import check, tell
from cluster import wait_until
from history import History, readers
from kinds import KINDS, RAY_KINDS, make
from record import is_good, read

NODES = (5, 8)
LASTS_S = (4.0, 12.0)  # on a machine that keeps up; most outlast the life of an edge
TWO_AT_ONCE = 0.25
CALM_S = 2.0  # between two faults: a good cluster is looked at too
PATIENCE = 3  # times what a fault may need to be over; then it is given up
RAY_NODES = 3
DISK, RAYS_DISK = "192m", "2g"  # of the cluster, so that it can be full


class Nemesis:
    """Of one seed."""

    def __init__(self, cluster, history, topology, rng, kinds):
        self.cluster, self.history, self.topology, self.rng = cluster, history, topology, rng
        self.kinds, self.pack, self.count = kinds, [], 0

    def next_fault(self):
        """Of the next kind: from a shuffled pack of all, then another one."""
        if not self.pack:
            self.pack = self.rng.sample(self.kinds, len(self.kinds))
        name = self.pack.pop()
        fault = make(name, self.cluster, random.Random(self.rng.random()))
        fault.name = name
        return fault

    def choose(self):
        """One; or two that do not meet in a node, where each goes well with another."""
        first = self.next_fault()
        two = self.rng.random() < TWO_AT_ONCE and first.nodes and not first.whole and not first.good_meanwhile
        if not two:
            return [first]
        second = self.next_fault()
        if second.nodes and not second.whole and not second.good_meanwhile and not first.nodes & second.nodes:
            return [first, second]
        self.pack.append(second.name)
        return [first]

    def step(self):
        """One or two faults from their beginning until all is good; whether that came."""
        faults = self.choose()
        lasts = max(self.rng.uniform(*LASTS_S), *(fault.at_least_s for fault in faults)) * pace.scale()
        for fault in faults:
            fault.id = self.count = self.count + 1
            print(f"{self.history.now():7.1f} s  {fault.id:3}  {fault.name}  {fault.chosen}", flush=True)
            self.history.note("inject", id=fault.id, name=fault.name, says=fault.record())
            fault.inject()
            self.note("injected", fault)
        if faults[0].good_meanwhile and not self.wait_good(faults[0]):
            print(f"{self.history.now():7.1f} s  {'':3}  not good meanwhile: {self.what_is_wrong()}", flush=True)
        time.sleep(lasts)
        for fault in faults:
            self.note("heal", fault)
            fault.heal()
            self.note("healed", fault)
        good = self.wait_good(max(faults, key=lambda fault: fault.settles_s))
        print(f"{self.history.now():7.1f} s  {'':3}  {'good' if good else f'not good: {self.what_is_wrong()}'}", flush=True)
        time.sleep(CALM_S)
        return good

    def note(self, kind, fault):
        self.history.note(kind, id=fault.id, name=fault.name, expected=sorted(self.cluster.present), chosen=fault.chosen)

    def wait_good(self, fault):
        """Until the topology is good by answers from after now."""
        begin, transports = self.history.now(), SHARED["transports"].split(",")

        def good():
            t, value = self.topology.last or (0, None)
            heard_since = (t - begin) * 1000 - 1000
            return value is not None and heard_since > 0 and is_good(value, self.cluster.present, transports, heard_since)

        try:
            return wait_until("all to be good", good, every=0.1, limit=pace.hangs_after(PATIENCE * fault.settles_s))
        except TimeoutError:
            self.history.note("gave_up", id=fault.id)
            return False

    def what_is_wrong(self):
        _, value = self.topology.last or (0, None)
        if value is None:
            return "the head does not answer"
        name = {node["node_id"]: node["address"] for node in value["nodes"]}
        wrong = [f"{node['address']} lost" for node in value["lost_nodes"]]
        wrong += [f"{node['address']} {node['state']} {node['reason']}" for node in value["nodes"] if node["state"] != "OK" or not node["reachable"]]
        wrong += [
            f"{name[edge['src_node_id']]} -> {name[edge['dst_node_id']]} over {edge['transport']} {edge['state']} {edge['reason']}"
            for edge in value["edges"]
            if edge["state"] != "OK"
        ]
        return f"{len(value['nodes'])} nodes; " + "; ".join(wrong[:4]) + (f"; and {len(wrong) - 4} more" if len(wrong) > 4 else "")


@contextlib.contextmanager
def disk(size):
    """A folder with a short name on a disk of its own."""
    with tempfile.TemporaryDirectory(prefix="nsc-", ignore_cleanup_errors=True) as directory:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "netsense-chaos", directory], check=True)
        try:
            yield Path(directory)
        finally:
            subprocess.run(["umount", "--lazy", directory], check=False)


def run(seed, arguments, path):
    """The record of one seed, into `path`."""
    rng = random.Random(seed)
    nodes = arguments.nodes or (RAY_NODES if arguments.ray else rng.randint(*NODES))
    kinds = [name.strip() for name in arguments.kinds.split(",")] if arguments.kinds else sorted(RAY_KINDS if arguments.ray else KINDS)
    print(f"seed {seed}: {nodes} nodes, {len(kinds)} kinds of fault, this machine's pace {pace.scale():.1f}", flush=True)
    with ExitStack() as stack:
        history = History(path)
        stack.callback(history.close)
        directory = stack.enter_context(disk(RAYS_DISK if arguments.ray else DISK))
        if arguments.ray:
            lab = stack.enter_context(ChaosLab(nodes))
            cluster: Changeable = ChaosRayCluster(lab, arguments.bin, directory, nodes, arguments.ray)
        else:
            lab = stack.enter_context(ChaosLab(nodes + 1))
            cluster = ChaosCluster(lab, arguments.bin, directory, nodes)
        settings = cluster.settings | SHARED
        ttl_ms = int(cluster.settings["rtt_ttl_ms"])
        history.note("begin", seed=seed, nodes=nodes, scale=round(pace.scale(), 3), settings=settings, ttl_ms=ttl_ms, kinds=kinds)
        stack.enter_context(cluster)
        topology, all_readers = readers(history, cluster)
        for reader in all_readers:
            stack.enter_context(reader)
        nemesis = Nemesis(cluster, history, topology, rng, kinds)
        begin = time.monotonic()
        transports = SHARED["transports"].split(",")
        wait_until("all to be good", lambda: (last := topology.last) and last[1] and is_good(last[1], cluster.present, transports), every=0.1)
        history.note("good")
        time.sleep(2 * CALM_S)
        steps = 0
        while (steps < arguments.steps) if arguments.steps else (time.monotonic() - begin < 60 * arguments.minutes):
            steps += 1
            if not nemesis.step():
                break
        time.sleep(2 * CALM_S)
        history.note("end", steps=steps)
        for i in sorted(cluster.present):
            (path.parent / f"{path.stem}.bridge-{i}.log").write_text(cluster.log(i))


def seeds(text):
    """`3`, `1-20`, `1,5,7-9`."""
    return [seed for part in text.split(",") for seed in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", help="folder with the three programs")
    parser.add_argument("--seeds", type=seeds, default=[1], help="3, or 1-20, or 1,5,7-9")
    parser.add_argument("--minutes", type=float, default=5, help="of each seed")
    parser.add_argument("--steps", type=int, help="so many faults (or pairs of them), instead of minutes")
    parser.add_argument("--nodes", type=int, help=f"instead of {NODES[0]} to {NODES[1]} by the seed")
    parser.add_argument("--kinds", help="only these, with commas between them")
    parser.add_argument("--ray", help="the path of Ray's command: beside a real Ray with its tables in Redis, and what can happen to them")
    parser.add_argument("--list", action="store_true", help="list the kinds of fault")
    parser.add_argument("--records", type=Path, default=Path("build/chaos"), help="folder for the records")
    arguments = parser.parse_args()
    if arguments.list:
        listed = sorted(RAY_KINDS if arguments.ray else KINDS)
        print("\n".join(listed), f"\n{len(listed)} kinds", file=sys.stdout)
        return 0
    why_not = netlab.namespaces_allowed()
    if why_not is not None:
        print(f"network namespaces are needed (run as root): {why_not}", file=sys.stderr)
        return 1 if os.environ.get("CI") else 77
    arguments.bin = arguments.bin or os.environ["NETSENSE_BIN"]
    bad = []
    for seed in arguments.seeds:
        path = arguments.records / f"{seed}.jsonl"
        try:
            run(seed, arguments, path)
        except Exception:
            traceback.print_exc()
            print(f"seed {seed} has not come to its end", flush=True)
            bad.append(seed)
            continue
        record = read(path)
        violations = check(record)
        tell(path, record, violations)
        if violations:
            bad.append(seed)
        else:
            subprocess.run(["gzip", "-f", path], check=True)
    print(f"{len(arguments.seeds)} seeds, {len(bad)} of them violate rules{': ' + ', '.join(map(str, bad)) if bad else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; the record so far is kept", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
