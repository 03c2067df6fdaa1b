"""Which nodes, which ring, which node for which objects: on topologies made up here, against a search through all there are."""

import doctest
import itertools
import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "raylet_bridge" / "python"))

from netsense_ray.placement import Links, Peaks, Placements, StoredObject, View, choose  # noqa: E402
from netsense_ray.programs import NetsenseError  # noqa: E402
from netsense_ray.ranking import rank_nodes  # noqa: E402
from netsense_ray.ring import best_ring  # noqa: E402
from netsense_ray.topology import Edge, Node, Topology  # noqa: E402

MIB = 1 << 20


def node_id(i):
    return f"{i:056x}"


def edge(a, b, bw=None, rtt=None, state="OK", transport="tcp", rail=None, reason="", bw_age_ms=1, **more):
    return Edge(src_node_id=node_id(a), dst_node_id=node_id(b), transport=transport, fabric="ethernet", rail=rail, state=state, reason=reason,
                rtt_ms=rtt, rtt_p50_ms=rtt, network_rtt_p50_ms=rtt, jitter_ms=0.0, bw_mbps=bw, bw_p50_mbps=bw, bw_percent=None,
                rtt_age_ms=1, bw_age_ms=bw_age_ms, age_ms=1, **more)  # fmt: skip


def cluster(nodes, edges):
    rows = tuple(Node(node_id(i), f"10.0.0.{i}", f"host{i}", i == 1, "OK", "", True, 1) for i in nodes)
    return Topology(generated_at_ms=1, nodes=rows, edges=tuple(edges), warnings=())


def full_mesh(nodes, bw, slow=None, slow_bw=None):
    """All links at `bw`, those between the two nodes `slow` at `slow_bw`."""
    return [edge(a, b, slow_bw if slow and {a, b} == set(slow) else bw, rtt=0.1) for a, b in itertools.permutations(nodes, 2)]


# ---- the ring


def best_worst_link(worth, n):
    """By trying every ring."""
    best = None
    for chosen in itertools.combinations(range(len(worth)), n):
        for rest in itertools.permutations(chosen[1:]):
            order = (chosen[0], *rest)
            links = [worth[a][b] for a, b in zip(order, order[1:] + order[:1], strict=True)]
            if None not in links and (best is None or min(links) > best):
                best = min(links)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_no_ring_has_a_better_worst_link(seed):
    draw = random.Random(seed)
    found = 0
    for _ in range(60):
        nodes = draw.randint(2, 7)
        n = draw.randint(2, nodes)
        missing = draw.random()
        values = draw.choice([3, 1000])  # many ties, and few
        worth: list[list] = [[None if i == j or draw.random() < missing else draw.randint(1, values) for j in range(nodes)] for i in range(nodes)]
        expected = best_worst_link(worth, n)
        ring = best_ring(worth, n)
        assert (ring is None) == (expected is None), (worth, n)
        if ring is not None:
            found += 1
            assert ring.worst == expected and ring.exact, (worth, n)
            assert len(set(ring.order)) == n
            assert min(worth[a][b] for a, b in zip(ring.order, ring.order[1:] + ring.order[:1], strict=True)) == expected
    assert found > 10


def test_twelve_nodes_are_always_searched_through():
    """Where a ring is just not there, the search is longest."""
    draw = random.Random(5)
    for density in (0.15, 0.2, 0.25, 0.3, 0.4):
        worth = [[draw.random() if i != j and draw.random() < density else None for j in range(12)] for i in range(12)]
        for n in (6, 9, 12):
            ring = best_ring(worth, n)
            assert ring is None or ring.exact
    two_halves = [[1.0 if i != j and (i < 6) == (j < 6) else None for j in range(12)] for i in range(12)]
    two_halves[0][6] = two_halves[6][0] = 1.0  # a ring would have to pass each of both twice
    assert best_ring(two_halves, 7) is None and best_ring(two_halves, 6).exact


def test_many_nodes_get_a_good_ring_and_are_told_that_it_may_not_be_the_best():
    draw = random.Random(3)
    worth = [[None if i == j else draw.uniform(8, 12) for j in range(100)] for i in range(100)]
    ring = best_ring(worth, 100)
    assert sorted(ring.order) == list(range(100)) and ring.worst > 11
    eight = best_ring(worth, 8)
    assert len(set(eight.order)) == 8 and eight.worst > 11.8


def test_a_ring_sends_one_way():
    """A link that is slow one way only is used the other way."""
    links = {(1, 2): 900, (2, 3): 900, (3, 1): 900, (2, 1): 10, (3, 2): 10, (1, 3): 10}
    ranking = rank_nodes(3, topology=cluster([1, 2, 3], [edge(a, b, bw) for (a, b), bw in links.items()]))
    start = ranking.node_ids.index(node_id(1))
    assert ranking.node_ids[start:] + ranking.node_ids[:start] == (node_id(1), node_id(2), node_id(3))
    assert ranking.worst_link.bw_p50_mbps == 900 and ranking.exact and ranking.unknown_pairs == ()
    assert [(link.src_node_id, link.dst_node_id) for link in ranking.links] == [
        (ranking.node_ids[i], ranking.node_ids[(i + 1) % 3]) for i in range(3)
    ]


def test_the_slow_link_is_left_out():
    nodes = [1, 2, 3, 4]
    ring = rank_nodes(4, topology=cluster(nodes, full_mesh(nodes, 10_000, slow=(2, 3), slow_bw=200)))
    assert ring.worst_link.bw_p50_mbps == 10_000, "all four, and 2 is no neighbour of 3"
    three = rank_nodes(3, topology=cluster(nodes, full_mesh(nodes, 10_000, slow=(2, 3), slow_bw=200)))
    assert not {node_id(2), node_id(3)} <= set(three.node_ids)


def test_round_trips_the_less_the_better():
    rtt = {
        frozenset((1, 2)): 0.1,
        frozenset((1, 3)): 0.2,
        frozenset((2, 3)): 5.0,
        frozenset((1, 4)): 0.3,
        frozenset((2, 4)): 0.3,
        frozenset((3, 4)): 0.3,
    }
    topology = cluster([1, 2, 3, 4], [edge(a, b, rtt=rtt[frozenset((a, b))]) for a, b in itertools.permutations([1, 2, 3, 4], 2)])
    assert set(rank_nodes(2, by="rtt", topology=topology).node_ids) == {node_id(1), node_id(2)}
    assert rank_nodes(4, by="rtt", topology=topology).worst_link.rtt_p50_ms == 0.3


def test_what_is_not_known_is_not_used():
    """Node 4 would be the best of all by old or doubtful figures."""
    nodes = [1, 2, 3]
    doubtful = [edge(4, 1, 90_000, state="STALE"), edge(1, 4, 90_000, state="DEGRADED"), edge(2, 4, None), edge(4, 2, 50_000, state="UNKNOWN")]
    topology = cluster([*nodes, 4], [*full_mesh(nodes, 1000), *doubtful])
    ranking = rank_nodes(3, topology=topology)
    assert set(ranking.node_ids) == set(map(node_id, nodes))
    assert len(ranking.unknown_pairs) == 6 and all(node_id(4) in pair for pair in ranking.unknown_pairs)
    with pytest.raises(NetsenseError, match=r"no ring of 4 nodes .* of 12 pairs 6 have none, as 0000"):
        rank_nodes(4, topology=topology)


def on_rails(nodes, rails, bw, slow=None, slow_bw=None, transport="ucx"):
    """All pairs on `rails` rails; `slow` is (node, rail)."""
    return [
        edge(a, b, slow_bw if slow and slow[0] in (a, b) and slow[1] == rail else bw, rtt=0.1, transport=transport, rail=rail)
        for rail in range(rails)
        for a, b in itertools.permutations(nodes, 2)
    ]


def test_of_rails_the_slowest_counts_and_of_transports_the_best():
    nodes = [1, 2, 3, 4]
    one_rail_slow = on_rails(nodes, 8, 380_000, slow=(4, 5), slow_bw=1000)
    ranking = rank_nodes(4, topology=cluster(nodes, one_rail_slow))
    assert ranking.worst_link.bw_p50_mbps == 1000 and ranking.worst_link.rail == 5
    assert set(rank_nodes(3, topology=cluster(nodes, one_rail_slow)).node_ids) == set(map(node_id, (1, 2, 3)))
    ranking = rank_nodes(4, topology=cluster(nodes, [*one_rail_slow, *full_mesh(nodes, 9000)]))
    assert ranking.worst_link.bw_p50_mbps == 9000 and ranking.worst_link.transport == "tcp"
    assert {link.transport for link in rank_nodes(4, topology=cluster(nodes, [*one_rail_slow, *full_mesh(nodes, 9000)]), transport="ucx").links} == {
        "ucx"
    }
    with pytest.raises(NetsenseError, match="no bandwidth over verbs is measured"):
        rank_nodes(3, topology=cluster(nodes, one_rail_slow), transport="verbs")


def test_of_rails_the_longest_round_trip_counts():
    edges = [
        edge(a, b, rtt=5.0 if rail == 3 and 2 in (a, b) else 0.01, rail=rail) for rail in range(4) for a, b in itertools.permutations([1, 2, 3], 2)
    ]
    assert rank_nodes(3, by="rtt", topology=cluster([1, 2, 3], edges)).worst_link.rtt_p50_ms == 5.0
    assert set(rank_nodes(2, by="rtt", topology=cluster([1, 2, 3], edges)).node_ids) == {node_id(1), node_id(3)}


@pytest.mark.parametrize("fault", ["absent", "UNREACHABLE", "DEGRADED", "no figure"])
def test_a_rail_that_is_not_measured_leaves_its_node_out(fault):
    nodes = [1, 2, 3, 4]
    edges = []
    for found in on_rails(nodes, 8, 380_000):
        if found.rail == 7 and node_id(4) in (found.src_node_id, found.dst_node_id):
            if fault == "absent":
                continue
            a, b = int(found.src_node_id, 16), int(found.dst_node_id, 16)
            found = edge(a, b, None, rtt=0.1, transport="ucx", rail=7, state="OK" if fault == "no figure" else fault, reason="so it is")
        edges.append(found)
    ranking = rank_nodes(3, topology=cluster(nodes, edges))
    assert set(ranking.node_ids) == set(map(node_id, (1, 2, 3))) and len(ranking.unknown_pairs) == 6
    with pytest.raises(NetsenseError, match="of 12 pairs 6 have none") as told:
        rank_nodes(4, topology=cluster(nodes, edges))
    assert fault == "absent" or "on rail 7" in str(told.value)


def test_edges_between_two_rails_are_in_no_ring():
    cross = [edge(a, b, 900_000, transport="ucx", cross_rail=True) for a, b in itertools.permutations([1, 2, 3], 2)]
    ranking = rank_nodes(3, topology=cluster([1, 2, 3], [*on_rails([1, 2, 3], 2, 5000), *cross]))
    assert ranking.worst_link.bw_p50_mbps == 5000 and not any(link.cross_rail for link in ranking.links)
    with pytest.raises(NetsenseError, match="no bandwidth is measured"):
        rank_nodes(3, topology=cluster([1, 2, 3], cross))


def test_a_bandwidth_past_its_life_is_left_out_and_said():
    """As the bridge says it: no figure, and why."""
    nodes = [1, 2, 3, 4]
    old = {"bw_age_ms": 130_000, "bw_life_ms": 120_000, "bw_state": "NOT_KNOWN", "bw_reason": "the last figure is 130 s old"}
    edges = full_mesh([1, 2, 3], 1000) + [edge(a, b, None, rtt=0.1, **old) for a, b in itertools.permutations(nodes, 2) if 4 in (a, b)]
    ranking = rank_nodes(3, topology=cluster(nodes, edges))
    assert set(ranking.node_ids) == set(map(node_id, (1, 2, 3)))
    assert {node_id(4)} <= {ranking.left_out[0].src_node_id, ranking.left_out[0].dst_node_id} and len(ranking.left_out) == 6
    with pytest.raises(NetsenseError, match="its bandwidth is not known: the last figure is 130 s old"):
        rank_nodes(4, topology=cluster(nodes, edges))
    assert rank_nodes(4, by="rtt", topology=cluster(nodes, edges)).left_out == (), "round trips have a life of their own"


def test_what_cannot_be_ranked_says_what_to_do():
    topology = cluster([1, 2], [edge(1, 2, rtt=0.1), edge(2, 1, rtt=0.1)])
    with pytest.raises(NetsenseError, match="network_sense_bw_enabled true"):
        rank_nodes(2, topology=topology)
    with pytest.raises(NetsenseError, match="3 nodes are asked for, and 2 are alive"):
        rank_nodes(3, by="rtt", topology=topology)
    with pytest.raises(ValueError, match="at least two"):
        rank_nodes(1, topology=topology)
    with pytest.raises(ValueError, match="hops"):
        rank_nodes(2, by="hops", topology=topology)  # type: ignore[arg-type]


def test_rays_own_terms():
    pytest.importorskip("ray")
    from ray._private.label_utils import validate_label_selector
    from ray.util.placement_group import VALID_PLACEMENT_GROUP_STRATEGIES  # noqa: F401 - this Ray has placement groups

    ranking = rank_nodes(3, topology=cluster([1, 2, 3], full_mesh([1, 2, 3], 1000)))
    assert [strategy.node_id for strategy in ranking.strategies()] == list(ranking.node_ids)
    assert not any(strategy.soft for strategy in ranking.strategies())
    assert validate_label_selector(ranking.label_selector()) is None
    assert all(node in ranking.label_selector()["ray.io/node-id"] for node in ranking.node_ids)
    group = ranking.placement_group_bundles({"CPU": 2})
    assert group["bundles"] == [{"CPU": 2}] * 3
    assert [validate_label_selector(selector) for selector in group["bundle_label_selector"]] == [None] * 3
    assert [selector["ray.io/node-id"] for selector in group["bundle_label_selector"]] == list(ranking.node_ids)


def test_the_example_of_the_documentation():
    failed, tried = doctest.testfile(str(ROOT / "docs" / "placement.md"), module_relative=False)
    assert tried > 5 and failed == 0


# ---- the node for some objects


def view_of(edges, nodes=(1, 2, 3, 4), cpus=4.0):
    free = cpus if isinstance(cpus, dict) else dict.fromkeys(nodes, cpus)
    return View(Links(cluster(nodes, edges)), {node_id(i): free[i] for i in nodes}, Placements())


def stored(size, *nodes):
    return StoredObject(size, frozenset(map(node_id, nodes)))


def chosen(objects, view, candidates=None):
    node, seconds, reason = choose(objects, view, candidates and [node_id(i) for i in candidates])
    return (None if node is None else int(node, 16)), {int(key, 16): value for key, value in seconds.items()}, reason


def test_two_objects_at_the_ends_of_a_slow_link_meet_elsewhere():
    view = view_of(full_mesh([1, 2, 3, 4], 8000, slow=(2, 3), slow_bw=200))
    node, seconds, reason = chosen([stored(64 * MIB, 2), stored(64 * MIB, 3)], view)
    assert node in (1, 4)
    assert seconds[node] == pytest.approx(2 * 64 * MIB / 1e9) and seconds[2] == seconds[3] == pytest.approx(64 * MIB / 25e6)
    assert "10.0.0.2" in reason or "10.0.0.3" in reason


def test_equal_links_are_rays_own_rule():
    view = view_of(full_mesh([1, 2, 3, 4], 8000))
    for objects in ([stored(64 * MIB, 2), stored(64 * MIB, 3)], [stored(9 * MIB, 1)], [stored(MIB, 1, 2), stored(900 * MIB, 4)]):
        assert chosen(objects, view)[0] is None


def test_links_that_differ_by_a_little_are_rays_too():
    draw = random.Random(2)
    for _ in range(50):
        edges = [edge(a, b, draw.uniform(8000, 14_000)) for a, b in itertools.permutations([1, 2, 3, 4], 2)]
        assert chosen([stored(640 * MIB, draw.randint(1, 4)), stored(640 * MIB, draw.randint(1, 4))], view_of(edges))[0] is None


def test_ray_is_not_left_a_node_behind_a_slow_link():
    """Its own choice, 1 or 2, is good, but when they are busy it might take 3."""
    node, _, reason = chosen([stored(64 * MIB, 1), stored(64 * MIB, 2)], view_of(full_mesh([1, 2, 3, 4], 8000, slow=(2, 3), slow_bw=200)))
    assert node in (1, 2) and "10.0.0.3, where Ray might send it" in reason


def test_the_best_copy_counts():
    edges = full_mesh([1, 2, 3, 4], 8000, slow=(2, 3), slow_bw=200)
    seconds = chosen([stored(64 * MIB, 2, 4), stored(64 * MIB, 3)], view_of(edges))[1]
    assert seconds[3] == pytest.approx(64 * MIB / 1e9)


def test_against_the_formula():
    draw = random.Random(4)
    for _ in range(100):
        bandwidth = {pair: draw.uniform(100, 10_000) for pair in itertools.permutations(range(1, 6), 2)}
        objects = [(draw.randint(1, 900) * MIB, draw.sample(range(1, 6), draw.randint(1, 2))) for _ in range(3)]
        view = view_of([edge(a, b, bw) for (a, b), bw in bandwidth.items()], nodes=range(1, 6))
        node, seconds, _ = chosen([stored(size, *at) for size, at in objects], view, candidates=range(1, 6))
        for d in range(1, 6):
            expected = sum(size / (max(bandwidth[s, d] for s in at) * 125_000) for size, at in objects if d not in at)
            assert seconds[d] == pytest.approx(expected)
        assert seconds[node] <= max(2 * min(seconds.values()), min(seconds.values()) + 0.1)


def test_an_unknown_pair_is_as_bad_as_the_worst_and_an_unreachable_one_endless():
    edges = [e for e in full_mesh([1, 2, 3, 4], 8000, slow=(1, 4), slow_bw=500) if (e.src_node_id, e.dst_node_id) != (node_id(2), node_id(3))]
    objects = [stored(640 * MIB, 2), stored(64 * MIB, 3)]
    assert chosen(objects, view_of(edges))[1][3] == pytest.approx(640 * MIB / 62.5e6)
    assert chosen(objects, view_of([*edges, edge(2, 3, state="STALE")]))[1][3] == pytest.approx(640 * MIB / 62.5e6)
    node, seconds, _ = chosen(objects, view_of([*edges, edge(2, 3, state="UNREACHABLE")]))
    assert seconds[3] == float("inf") and node != 3


def test_nothing_measured_is_left_to_ray_and_says_so():
    view = view_of([edge(a, b, rtt=0.1) for a, b in itertools.permutations([1, 2, 3, 4], 2)])
    assert chosen([stored(64 * MIB, 2)], view) == (
        None,
        {},
        "left to Ray: no bandwidth is measured (netsense-bridge config set network_sense_bw_enabled true)",
    )
    assert chosen([stored(64 * MIB, 2)], view, candidates=[1, 2])[0] == 2
    assert chosen([], view)[0] is None
    with pytest.raises(NetsenseError, match="no node to choose from"):
        choose([stored(1, 2)], view, [])


def test_what_rdma_can_do_says_nothing_of_rays_objects():
    edges = full_mesh([1, 2, 3, 4], 8000, slow=(2, 3), slow_bw=200)
    edges += [edge(a, b, 400_000, transport="verbs") for a, b in itertools.permutations([1, 2, 3, 4], 2)]
    assert chosen([stored(64 * MIB, 2), stored(64 * MIB, 3)], view_of(edges))[0] in (1, 4)


def test_of_rails_the_slowest_counts():
    edges = [edge(a, b, bw, rail=rail) for rail, bw in ((0, 8000), (1, 2000)) for a, b in itertools.permutations([1, 2], 2)]
    assert chosen([stored(64 * MIB, 2)], view_of(edges, nodes=(1, 2)))[1][1] == pytest.approx(64 * MIB / 250e6)


def test_objects_go_by_no_bandwidth_that_is_too_old_nor_between_two_rails():
    slow = edge(2, 1, None, bw_life_ms=300_000, bw_reason="the last figure is 400 s old")
    links = Links(cluster([1, 2], [edge(1, 2, 8000), slow]))
    assert links.bandwidth == {(node_id(1), node_id(2)): 1e9}
    assert links.left_out() == "; bandwidths left out: 1, as 10.0.0.2 to 10.0.0.1 over tcp: its bandwidth is not known: the last figure is 400 s old"
    assert Links(cluster([1, 2], [edge(1, 2, 8000)])).left_out() == ""
    assert Links(cluster([1, 2], [edge(1, 2, 8000), edge(1, 2, 10, cross_rail=True)])).bandwidth == {(node_id(1), node_id(2)): 1e9}
    assert Links(cluster([1, 2], [edge(1, 2, 8000, rail=0), edge(1, 2, state="UNREACHABLE", rail=1)])).bandwidth == {}, (
        "Ray's address may lie on that rail"
    )


def test_an_edge_is_read_from_documents_old_and_new():
    values = {"src_node_id": "a", "dst_node_id": "b", "transport": "tcp", "state": "OK", "bw_p50_mbps": 5, "bw_age_ms": 9}
    read = lambda **more: Topology.from_payload({"generated_at_ms": 0, "nodes": [], "edges": [values | more]}).edges[0]  # noqa: E731
    assert read().bw_life_ms is None and read().cross_rail is False and read().figure("bandwidth") == 5
    assert read(cross_rail=True).cross_rail and not read(bw_life_ms=9).bw_not_known
    assert read(bw_p50_mbps=None, bw_life_ms=9).bw_not_known and not read(bw_p50_mbps=None).bw_not_known


def test_a_link_that_is_busy_just_now_is_no_slow_link():
    peaks = Peaks()
    pair = node_id(1), node_id(2)
    figures = [Links(cluster([1, 2], [edge(1, 2, bw)]), peaks).bandwidth[pair] for bw in (8000, 300, 9000, 100)]
    assert figures == [1e9, 1e9, 1.125e9, 1.125e9]
    assert Links(cluster([1, 2], [edge(1, 2, state="UNREACHABLE")]), peaks).bandwidth[pair] == 0, "what is gone is gone at once"
    peaks.KEPT_S = 0
    assert [Links(cluster([1, 2], [edge(1, 2, bw)]), peaks).bandwidth[pair] for bw in (9000, 100)] == [1.125e9, 12.5e6], "and not for ever"


def send(objects, view, tasks):
    nodes = []
    for _ in range(tasks):
        node, seconds, _ = choose(objects, view)
        assert node is not None
        view.placements.add(node, seconds[node])
        nodes.append(int(node, 16))
    return nodes


def test_tasks_are_spread_over_what_is_good():
    """Two CPUs a node: 1 and 4 are equally good, then there is room nowhere near, and no node behind the slow link is taken."""
    view = view_of(full_mesh([1, 2, 3, 4], 8000, slow=(2, 3), slow_bw=200), cpus=2.0)
    nodes = send([stored(64 * MIB, 2), stored(64 * MIB, 3)], view, 8)
    assert nodes.count(1) == nodes.count(4) == 4


def test_a_busy_best_node_is_passed_over_for_one_that_is_not_far():
    view = view_of(full_mesh([1, 2, 3, 4], 8000, slow=(2, 3), slow_bw=200), cpus=1.0)
    nodes = send([stored(640 * MIB, 2)], view, 6)
    assert nodes[0] == 2 and sorted(nodes) == [1, 1, 2, 2, 4, 4], "the one that has it first, and 3 never"


def test_candidates_are_never_left_to_ray():
    view = view_of(full_mesh([1, 2, 3, 4], 8000))
    assert chosen([stored(64 * MIB, 2)], view, candidates=[3, 4])[0] in (3, 4)
    assert chosen([stored(64 * MIB, 2)], view, candidates=[2, 3, 4])[0] == 2
