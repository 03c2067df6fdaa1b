"""A join of two tables on a Ray cluster, placed by Ray and by `netsense_ray.best_node_for` in turn; times as JSON.

    placement_workload.py GCS_ADDRESS NODE_IP FEWEST ROUNDS ENOUGH

Each node has made two partitions of 64 MiB: its part of the left table, and its part of the right one. A task joins a node's left part with
the right part of the next node, so every task needs two objects of one size from two nodes. Each round makes the partitions anew, joins
them with tasks that Ray places, makes them anew and joins them with tasks placed by netsense; every other round in the other order.
There are FEWEST rounds, and as many more as it takes until the median by Ray is at least ENOUGH times that by netsense; ROUNDS at most.
"""

import json
import statistics
import sys
import time
import zlib

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from netsense_ray import best_node_for

PARTITION_BYTES = 64 << 20
SAMPLE_BYTES = 1 << 20  # that a task works on: the time is to be that of moving the partitions


@ray.remote
def make_partition(seed):
    return bytes([seed]) * PARTITION_BYTES


@ray.remote
def join(left, right):
    return ray.get_runtime_context().get_node_id(), zlib.crc32(right[-SAMPLE_BYTES:], zlib.crc32(left[:SAMPLE_BYTES]))


def make_tables(nodes):
    def on(node, seed):
        return make_partition.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(seed)

    left = [on(node, 2 * i) for i, node in enumerate(nodes)]
    right = [on(node, 2 * i + 1) for i, node in enumerate(nodes)]
    ray.wait(left + right, num_returns=2 * len(nodes), fetch_local=False)
    return left, right


def run(nodes, by_netsense):
    """One join of fresh tables."""
    left, right = make_tables(nodes)
    started = time.perf_counter()
    choices, choosing, tasks = [], 0.0, []
    for i in range(len(nodes)):
        pair = [left[i], right[(i + 1) % len(nodes)]]
        strategy = "DEFAULT"
        if by_netsense:
            begun = time.perf_counter()
            choice = best_node_for(pair)
            choosing += time.perf_counter() - begun
            choices.append(choice)
            strategy = choice.strategy
        tasks.append(join.options(scheduling_strategy=strategy).remote(*pair))
    done = ray.get(tasks)
    return {
        "by_netsense": by_netsense,
        "seconds": time.perf_counter() - started,
        "choosing_seconds": choosing,
        "pinned": sum(choice.node_id is not None for choice in choices),
        "reasons": [choice.reason for choice in choices],
        "ran_on": [nodes.index(node) + 1 for node, _ in done],
        "digests": [digest for _, digest in done],
    }


def times_faster(runs):
    by_ray, by_netsense = (statistics.median(run["seconds"] for run in runs if run["by_netsense"] == who) for who in (False, True))
    return by_ray / by_netsense


def main():
    gcs_address, node_ip, fewest, rounds, enough = sys.argv[1:]
    ray.init(address=gcs_address, _node_ip_address=node_ip, log_to_driver=False, logging_level="ERROR")
    alive = sorted((node["NodeManagerAddress"], node["NodeID"]) for node in ray.nodes() if node["Alive"])
    nodes = [node_id for _, node_id in alive]
    run(nodes, by_netsense=False)  # starts the workers
    runs: list[dict] = []
    for i in range(int(rounds)):
        if i >= int(fewest) and times_faster(runs) >= float(enough):
            break
        for by_netsense in (False, True) if i % 2 == 0 else (True, False):
            runs.append(run(nodes, by_netsense))
    print("@@" + json.dumps(runs))


main()
