"""Result documents of the shape of docs/results.md, with faults in them that a report must show."""

import math
import random

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>'


def distribution(p50, percentiles=True):
    points = [[p, round(p50 * (0.8 + 0.4 * (p / 100) ** 3 + 0.02 / (1.01 - p / 100)), 3)] for p in range(101)]
    result = {
        "min": points[0][1],
        "p50": p50,
        "p90": points[90][1],
        "p99": points[99][1],
        "p99_9": points[100][1],
        "max": points[100][1],
        "mean": p50,
        "stdev": p50 / 10,
        "p50_ci95": [p50 * 0.99, p50 * 1.01],
    }
    if percentiles:
        result["percentiles"] = points
    return result


def head(command, **more):
    return {
        "schema_version": 1,
        "command": command,
        "target": None,
        "version": "0.1.0",
        "hostname": "login-1",
        "kernel": "6.1.0-37-amd64",
        "cpu": "AMD EPYC 9654",
        "arguments": [command, "-t", "tcp"],
        "started_at_ms": 1760000000000,
        "ended_at_ms": 1760000061500,
        "interrupted": False,
        **more,
        "checks": [],
    }


def ping(source, target, p50, percentiles=True, **more):
    return {
        "kind": "ping",
        "source": source,
        "target": target,
        "transport": "tcp",
        "mode": "stream",
        "device": "",
        "payload_bytes": 64,
        "repeat": 1,
        "rtt_us": distribution(round(p50 * 1.2, 3), percentiles),
        "network_rtt_us": distribution(p50, percentiles),
        "responder_hold_us": distribution(2.0, percentiles),
        "host_delay_us": distribution(1.0, percentiles),
        "samples": 1000,
        "lost": 0,
        "warmup": 100,
        "elapsed_s": 0.01,
        "timestamp_source": "kernel",
        "wait_mode": {"prober": "block", "responder": "block"},
        "interrupted": False,
        **more,
    }


def bw(source, target, gbps, **more):
    return {
        "kind": "bw",
        "source": source,
        "target": target,
        "transport": "tcp",
        "mode": "stream",
        "device": "",
        "direction": "to_peer",
        "message_bytes": 1 << 20,
        "streams": 1,
        "repeat": 1,
        "bw_gbps": {"avg": gbps, "min_window": round(gbps * 0.9, 3), "max_window": round(gbps * 1.05, 3)},
        "expected": {"gbps": 100, "percent": gbps, "limit": "port", "reason": ""},
        "bytes": 1 << 30,
        "elapsed_s": 3.0,
        **more,
    }


def failure(row):
    """As bench/rows.cc writes it: mode and device are agreed upon when a session begins."""
    known = ("kind", "source", "target", "transport", "direction", "payload_bytes", "message_bytes", "streams", "repeat", "round")
    kept = {name: value for name, value in row.items() if name in known}
    return {**kept, "mode": "", "device": "", "error": {"code": "DEADLINE_EXCEEDED", "message": f"no answer within 1 s {HOSTILE}"}}


def matrix(count, percentiles=False):
    """Node 1 is slow, the link from node 0 to the last living one is slow, the last node is dead, and one pair failed.

    As `matrix` writes it: bandwidth each way, pings from one side of a pair, no size of messages.
    """
    noise = random.Random(count)
    names = [f"10.0.{i // 250}.{i % 250 + 1}:18590" for i in range(count)]
    if count > 3:
        names[2] = HOSTILE
    dead, slow = count - 1 if count > 3 else None, 1
    last = count - 2 if dead else count - 1
    nodes = [
        {
            "name": name,
            "address": name.split(":")[0],
            "port": 18590,
            "hostname": HOSTILE if i == 0 else f"gpu-{i:03}",
            "alive": i != dead,
            "reason": "connection timed out after 1 s" if i == dead else "",
            "ports": []
            if i == dead
            else [
                {"name": "mlx5_0:1", "netdev": "ib0", "fabric": "infiniband", "speed_gbps": 400.0, "mtu": 4096, "rdma_device": "mlx5_0"},
                {"name": "eth0", "netdev": "eth0", "fabric": "ethernet", "speed_gbps": 100.0, "mtu": 1500, "rdma_device": ""},
            ],
        }
        for i, name in enumerate(names)
    ]
    rows = []
    for i in range(count):
        for j in range(count):
            if i == j or dead in (i, j):
                continue
            bad = slow in (i, j)
            rtt = round((80 if bad else 20) * math.exp(noise.gauss(0, 0.05)), 2)
            gbps = round((30 if bad else 3.5 if (i, j) == (0, last) else 92) * math.exp(noise.gauss(0, 0.02)), 2)
            if (i + j) % 2 == (i < j):
                rows.append(ping(names[i], names[j], rtt, percentiles, round=1))
            rows.append(bw(names[i], names[j], gbps, message_bytes=None, round=1))
    if count > 3:
        for kind in ("ping", "bw"):
            last_row = max(k for k, row in enumerate(rows) if row["kind"] == kind)
            rows[last_row] = failure(rows[last_row])
    suspects = [
        {
            "what": "node",
            "nodes": [names[slow]],
            "transport": "tcp",
            "metric": "bw",
            "measured": 30.1,
            "class_median": 92.0,
            "expected": 100,
            "unit": "gbps",
            "evidence": [
                f"{names[0]} → {names[slow]}: 30.1 Gb/s, 33 % of the median of its class",
                "alone: 30.2 Gb/s",
                "with a good partner: 30.0 Gb/s",
            ],
        },
        {
            "what": "link",
            "nodes": [names[0], names[last]],
            "transport": "tcp",
            "metric": "bw",
            "measured": 3.5,
            "class_median": 92.0,
            "expected": 100,
            "unit": "gbps",
            "evidence": [f"alone: 3.5 Gb/s {HOSTILE}"],
        },
    ]
    plan = {"pairs": count * (count - 1) // 2, "rounds": count - 1, "transports": ["tcp"], "rounds_done": count - 1}
    return {**head("matrix", nodes=nodes, plan=plan, suspects=suspects), "results": rows}


def sweep():
    rows = []
    for transport, latency, top in (("tcp", 12, 40), ("grpc", 60, 12), ("ucx", 8, 60)):
        for size in [2**power for power in range(24)]:
            for repeat in (1, 2, 3):
                more = {"transport": transport, "repeat": repeat}
                if size <= 65536:
                    rows.append(ping("a", "10.0.0.2:18590", round(latency + size / 4000 + repeat / 10, 2), payload_bytes=size, **more))
                rows.append(bw("a", "10.0.0.2:18590", round(top * size / (size + 20000), 4), message_bytes=size, **more))
    return {**head("sweep", target="10.0.0.2:18590"), "results": rows}


def loaded():
    rows = [
        ping("a", "10.0.0.2:18590", p50, load=load, transport=transport)
        for transport, scale in (("tcp", 1), ("verbs", 0.25))
        for load, p50 in (("idle", 20 * scale), ("loaded", 300 * scale), ("loaded-priority", 26 * scale))
    ]
    rows.append(
        {
            "kind": "loaded",
            "source": "a",
            "target": "10.0.0.2:18590",
            "transport": "tcp",
            "mode": "stream",
            "repeat": 1,
            "added_us": 280.0,
            "priority_added_us": 6.0,
            "rpm": 200000.0,
            "formula": "added = loaded - idle",
        }
    )
    return {**head("loaded", target="10.0.0.2:18590"), "results": rows}


def pings():
    rows = [
        ping("a", HOSTILE, p50, transport=transport, repeat=repeat)
        for transport, base in (("tcp", 20), ("grpc", 95), ("ucx", 11))
        for repeat in (1, 2)
        for p50 in [base + repeat]
    ]
    rows.append(failure(ping("a", HOSTILE, 1, transport="verbs")))
    checks = [{"row": 0, "check": "max_rtt_us", "limit": 15.0, "value": 21.0, "passed": False}]
    return {**head("ping", target=HOSTILE), "results": rows, "checks": checks}
