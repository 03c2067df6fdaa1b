#!/usr/bin/env python3
"""A healthy cluster stays green: three nodes, every transport that this host has, bandwidth on, beside two busy loops a core.

`netsense-bridge status` is asked every two seconds; each look that is not "all good" is a false alarm, and is told. Exit code 0: there was none.
The settings are what a user gets, and no limit is made longer for this machine. For hours, by hand (`make healthy`).
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pace
from cluster import EmbeddedCluster, wait_until
from netlab import NetLab, die_with_parent

LOOPS_A_CORE = 2
EVERY_S = 2
TELL_EVERY_S = 60
MOST_TOLD = 5  # of one edge's or node's


def busy_loops(stack):
    for _ in range(LOOPS_A_CORE * (os.cpu_count() or 1)):
        loop = subprocess.Popen(["bash", "-c", "while :; do :; done"], preexec_fn=die_with_parent)
        stack.callback(loop.kill)


def alarms(payload):
    """What this look says is not good: of whom, and what, in words."""
    name = {node["node_id"]: node["address"] for node in payload["nodes"]}
    for node in payload["nodes"]:
        if node["state"] != "OK" or not node["reachable"]:
            yield f"node {node['address']}", f"{node['state']}, reachable {node['reachable']}: {node['reason']}"
    for node in payload["lost_nodes"]:
        yield f"node {node['address']}", f"LOST: {node['reason']}"
    for edge in payload["edges"]:
        words = f"{name[edge['src_node_id']]} -> {name[edge['dst_node_id']]} over {edge['transport']}"
        if edge["state"] != "OK":
            yield words, f"{edge['state']}: {edge['reason']}"
        elif edge["slow"]:
            yield words, f"slow: {edge['slow']['reason']}; here {edge['bw_p50_mbps']} Mb/s, {edge['rtt_p50_ms']} ms"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="folder with the three programs")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--transports", default="tcp,grpc,ucx")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="nsh-", ignore_cleanup_errors=True))
        cluster = EmbeddedCluster(stack.enter_context(NetLab(3)), arguments.bin, directory)
        cluster.settings = {"enabled": "true", "bw_enabled": "true", "transports": arguments.transports}
        cluster.environment.pop(pace.VARIABLE, None)
        busy_loops(stack)
        stack.enter_context(cluster)
        edges = len(cluster.settings["transports"].split(",")) * 6

        def begun():
            payload = cluster.status()
            known = payload and [edge for edge in payload["edges"] if edge["state"] == "OK" and edge["bw_mbps"] is not None]
            return payload and len(known) == edges

        print(f"{edges} edges; waiting until each has figures", flush=True)
        wait_until(f"{edges} good edges", begun, every=1, limit=600)
        begin = told = time.monotonic()
        looks = red = unknown = 0
        seen: collections.Counter[str] = collections.Counter()
        while (now := time.monotonic()) - begin < 60 * arguments.minutes:
            done = cluster.status_run(1, "--json")
            looks += 1
            red += done.returncode != 0
            if done.returncode in (0, 1):
                payload = json.loads(done.stdout)
                unknown += sum(edge["state"] == "OK" and edge["bw_mbps"] is None for edge in payload["edges"])
                for edge_or_node, alarm in alarms(payload):
                    seen[edge_or_node] += 1
                    if seen[edge_or_node] <= MOST_TOLD:
                        print(f"{now - begin:.0f} s: {edge_or_node}: {alarm}", flush=True)
            else:
                print(f"{now - begin:.0f} s: exit code {done.returncode}: {done.stderr.strip()}", flush=True)
            if now - told >= TELL_EVERY_S:
                told = now
                print(f"{(now - begin) / 60:.0f} min: {looks} looks, {red} of them not good; load {os.getloadavg()[0]:.1f}", flush=True)
            time.sleep(max(0, EVERY_S - (time.monotonic() - now)))
        print(
            f"{arguments.minutes:g} min beside {LOOPS_A_CORE} busy loops a core ({os.cpu_count()}): {looks} looks at {edges} edges, {red} not good; "
            f"{unknown} times the bandwidth of an edge was not known"
        )
        return 0 if red == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
