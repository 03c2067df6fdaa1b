"""python -m netsense_ray: netsense on a running Ray cluster, from the command line.

Exit codes: 0 good, 1 some node or edge is not, 2 usage, 3 could not do it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable

from . import cluster, startup_file
from .placement import rank_nodes
from .programs import NetsenseError, gcs_flags, program
from .topology import Topology, topology, topology_payload

GOOD, BAD, USAGE, FAILED = 0, 1, 2, 3


def _up(arguments: argparse.Namespace) -> int:
    rows = cluster.up(
        address=arguments.address,
        enabled=not arguments.disabled,
        bandwidth=not arguments.no_bandwidth,
        settings=dict(arguments.set),
        timeout=arguments.timeout,
    )
    if arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows]))
    else:
        for row in rows:
            print(
                f"  {row.address:<15}  {row.hostname:<15}  {row.node_id[:8]}  {'reports' if row.reporting else row.reason}"
                f"{'  (head)' if row.is_head else ''}"
            )
        print(f"netsense runs on {sum(row.running for row in rows)} of {len(rows)} nodes; see: python -m netsense_ray status")
    return GOOD if all(row.reporting for row in rows) else BAD


def _down(arguments: argparse.Namespace) -> int:
    count = cluster.down(address=arguments.address, timeout=arguments.timeout)
    print(f"netsense ended on {count} node{'s' * (count != 1)}" if count else "netsense did not run")
    return GOOD


def _status(arguments: argparse.Namespace) -> int:
    bridge = program("netsense-bridge")
    os.execv(bridge, [str(bridge), "status", *gcs_flags(arguments.address), *arguments.flags])


def _forget(arguments: argparse.Namespace) -> int:
    bridge = program("netsense-bridge")
    os.execv(bridge, [str(bridge), "forget", *gcs_flags(arguments.address), arguments.node])


def _topology(arguments: argparse.Namespace) -> int:
    payload = topology_payload(arguments.address)
    if arguments.json:
        print(json.dumps(payload))
        return GOOD
    seen = Topology.from_payload(payload)
    name = {node.node_id: node.address for node in seen.nodes}
    print(f"{'from':<15}  {'to':<15}  {'over':<5}  {'rail':<4}  {'state':<16}  {'RTT µs':>9}  {'Gb/s':>8}  {'age s':>6}")
    for edge in seen.edges:
        rail = "-" if edge.rail is None else edge.rail
        print(
            f"{name[edge.src_node_id]:<15}  {name[edge.dst_node_id]:<15}  {edge.transport or '-':<5}  {rail:<4}  {edge.state:<16}  "
            f"{_scaled(edge.rtt_p50_ms, 1e3, 1):>9}  {_scaled(edge.bw_p50_mbps, 1e-3, 3):>8}  {_scaled(edge.rtt_age_ms, 1e-3, 1):>6}"
            f"{'  ' + edge.reason if edge.reason else ''}{'  slow: ' + edge.slow.reason if edge.slow else ''}"
        )
    return GOOD


def _scaled(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{value * factor:.{digits}f}"


def _rank(arguments: argparse.Namespace) -> int:
    seen = topology(arguments.address)
    ranking = rank_nodes(arguments.count, by=arguments.by, topology=seen)
    if arguments.json:
        print(json.dumps(dataclasses.asdict(ranking)))
        return GOOD
    name = {node.node_id: node.address for node in seen.nodes}
    print(f"ring of {arguments.count} nodes by {arguments.by}, each sends to the next:")
    for link in ranking.links:
        print(
            f"  {link.src_node_id[:8]}  {name[link.src_node_id]:<15} -> {name[link.dst_node_id]:<15}  {link.transport:<5}"
            f"  {_scaled(link.rtt_p50_ms, 1e3, 1):>9} µs  {_scaled(link.bw_p50_mbps, 1e-3, 3):>8} Gb/s"
            f"{'  (the worst link)' if link is ranking.worst_link else ''}"
        )
    if ranking.unknown_pairs:
        print(
            f"left out: {len(ranking.unknown_pairs)} of {len(seen.nodes) * (len(seen.nodes) - 1)} pairs, which have no {arguments.by} on every rail"
        )
    if ranking.left_out:
        edge = ranking.left_out[0]
        print(
            f"left out: {len(ranking.left_out)} bandwidths, as {name[edge.src_node_id]} to {name[edge.dst_node_id]}: {edge.why_no_figure('bandwidth')}"
        )
    if not ranking.exact:
        print("a better ring may exist: not all of so many can be looked at")
    return GOOD


def _enable_cli(_: argparse.Namespace) -> int:
    startup_file.enable()
    return GOOD


def _disable_cli(_: argparse.Namespace) -> int:
    startup_file.disable()
    return GOOD


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    return name, value


def _at_least_two(text: str) -> int:
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of nodes, two or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    started_as = "python -m netsense_ray" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
    parser = argparse.ArgumentParser(
        prog=started_as, description=__doc__.split("\n")[0].partition(": ")[2].capitalize(), epilog=__doc__.split("\n", 1)[1].strip()
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    def on_cluster(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = command(name, run, text)
        made.add_argument("--address", help="HOST:PORT of the cluster's GCS (default: RAY_ADDRESS, then the cluster of this host)")
        return made

    up = on_cluster("up", _up, "start netsense on every node, new ones too, or change its settings; waits until all nodes report")
    up.add_argument("--no-bandwidth", action="store_true", help="measure round trips only")
    up.add_argument("--disabled", action="store_true", help="start it and measure nothing yet")
    up.add_argument("--set", metavar="KEY=VALUE", type=_setting, action="append", default=[], help="a setting of the whole cluster")
    up.add_argument("--timeout", type=float, default=60, metavar="SECONDS", help="to wait for reports (60)")
    up.add_argument("--json", action="store_true", help="one JSON document: a status per node")
    down = on_cluster("down", _down, "end netsense on all nodes; nothing of it stays")
    down.add_argument("--timeout", type=float, default=30, metavar="SECONDS", help="to wait for the nodes (30)")
    status = on_cluster("status", _status, "show which nodes reach which, and how fast; further flags are those of netsense-bridge status")
    status.set_defaults(flags=[])
    forget = on_cluster("forget", _forget, "forget a node that is LOST and will not come back")
    forget.add_argument("node", metavar="NODE", help="its id (or the digits that status shows), host name or address")
    shown = on_cluster("topology", _topology, "every edge as a row")
    shown.add_argument("--json", action="store_true", help="one JSON document, as GET /api/v0/network_topology gives it")
    rank = on_cluster("rank", _rank, "the best connected nodes, and the ring through them with the best worst link")
    rank.add_argument("count", type=_at_least_two, help="how many nodes")
    rank.add_argument("--by", choices=["bandwidth", "rtt"], default="bandwidth", help="what the worst link is judged by (bandwidth)")
    rank.add_argument("--json", action="store_true", help="one JSON document")
    command("enable-cli", _enable_cli, "add `ray network` to the `ray` command of this Python environment")
    command("disable-cli", _disable_cli, "remove it again")
    return parser


def main() -> int:
    parser = _parser()
    arguments, rest = parser.parse_known_args()
    if rest and arguments.run is not _status:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.flags = rest
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except NetsenseError as error:
        print(f"netsense: {error}", file=sys.stderr)
        return USAGE if isinstance(error, cluster.WrongSetting) else FAILED
    except KeyboardInterrupt:
        return 130
