"""An older release and this one in one cluster, which is upgraded node by node: no edge is wrong for it, and the mixture is said.

NETSENSE_OLDER_BIN: the programs of the older release, as `make upgrade` builds them from the commit in tests/older_release.
"""

import os
import signal
from pathlib import Path

import pytest
from cluster import EmbeddedCluster, wait_until
from conftest import skip_or_fail
from netlab import NetLab

NODES = 6
OLDER = (1, 2, 3)  # at first
SAID = "run an older release"


class MixedCluster(EmbeddedCluster):
    """Each node runs the programs of `bins[node]`."""

    def __init__(self, *arguments, older, **options):
        super().__init__(*arguments, **options)
        self.newer = self.bin
        self.bins = {i: Path(older).resolve() if i in OLDER else self.newer for i in range(1, self.lab.nodes + 1)}

    def start_bridge(self, i, extra=()):
        self.bin = self.bins[i]
        if self.bin == self.newer and self.bins[1] != self.newer:
            extra = [*extra, "--gcs-allow-plain"]  # the head is an older one
        try:
            super().start_bridge(i, extra)
        finally:
            self.bin = self.newer

    def upgrade(self, i, extra=()):
        assert self.stop_bridge(i) == 0
        self.bins[i] = self.newer
        self.start_bridge(i, extra)

    def warnings(self):
        return [warning for warning in self.status()["warnings"] if SAID in warning]

    def edges_beside(self, away):
        """The states of the edges between all nodes but `away`."""
        gone = self.lab.address(away)
        return {pair: edge["state"] for pair, edge in self.edges().items() if gone not in pair}


@pytest.fixture
def older():
    if not os.environ.get("NETSENSE_OLDER_BIN"):
        skip_or_fail("no programs of an older release: `make upgrade` builds them")
    return os.environ["NETSENSE_OLDER_BIN"]


def upgrade_and_watch(cluster, i, extra=()):
    """Nobody else's edge is anything but good meanwhile, and with it all are good again."""
    cluster.upgrade(i, extra)

    def all_good():
        states = cluster.edges_beside(i)
        assert all(state == "OK" for state in states.values()), (i, states)
        edges = cluster.edges()
        return len(edges) == NODES * (NODES - 1) and all(edge["state"] == "OK" for edge in edges.values())

    wait_until(f"a good cluster with a new node {i}", all_good, every=0.2)


def test_the_head_is_upgraded_last(namespaces, bin_dir, directory, older):
    folder = directory / "last"
    folder.mkdir()
    with NetLab(NODES) as lab, MixedCluster(lab, bin_dir, folder, older=older) as cluster:
        cluster.wait_all_ok()
        for i in (2, 3):
            upgrade_and_watch(cluster, i)
        cluster.upgrade(1)  # and with it the GCS: nobody is known until the nodes have come back by themselves
        cluster.wait_all_ok()
        assert cluster.warnings() == []


def test_the_head_is_upgraded_first(namespaces, bin_dir, directory, older):
    folder = directory / "first"
    folder.mkdir()
    with NetLab(NODES) as lab, MixedCluster(lab, bin_dir, folder, older=older) as cluster:
        cluster.wait_all_ok()
        cluster.upgrade(1)
        wait_until("the older ones are refused, and the head says who", lambda: "older release" in cluster.log(1), every=0.2)
        cluster.stop_bridge(1, signal.SIGTERM)
        cluster.start_bridge(1, ["--gcs-allow-plain"])
        cluster.wait_all_ok()
        (warning,) = wait_until("the mixture", cluster.warnings, every=0.2)
        assert warning.startswith(f"2 of {NODES} nodes {SAID}")
        for i in (2, 3):
            upgrade_and_watch(cluster, i)
        wait_until("the end of the mixture", lambda: not cluster.warnings(), every=0.2)
