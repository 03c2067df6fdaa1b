"""A real Prometheus finds the bridges of three nodes, scrapes them with the token, and its alerts fire."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pace
import pytest
from cluster import DOOR_PORT, HTTP_PORT, EmbeddedCluster, wait_until
from conftest import skip_or_fail
from netlab import NetLab
from prometheus import Prometheus, why_not

SOURCES = Path(__file__).parents[2]
MONITORING = SOURCES / "raylet_bridge" / "monitoring"
FULL_MBIT = round(1000 / pace.scale(), 1)
PREFIX = "ray_network_sense_"


class ScrapedCluster(EmbeddedCluster):
    """Its head writes the file of targets; node 2 is driven by an engine that outlives its bridges."""

    def start_cluster(self):
        super().start_cluster()
        self.sd_file = self.directory / "sd.json"
        self.own_socket = self.directory / "engine" / "s.sock"
        self.own_socket.parent.mkdir(mode=0o700)
        command = [self.bin / "netsense-engine", "--listen", f"{self.lab.address(2)}:{DOOR_PORT}", *self.token_flags(2)]
        self.own_engine = self.lab.popen(
            2,
            [*command, "--control-socket", self.own_socket],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        wait_until("the engine's socket", self.own_socket.exists)

    def start_bridge(self, i, extra=()):
        more = {1: ["--metrics-sd-file", self.sd_file], 2: ["--engine-socket", self.own_socket]}.get(i, [])
        super().start_bridge(i, [*extra, *more])

    def close(self):
        super().close()
        self.own_engine.terminate()
        self.own_engine.wait(timeout=pace.hangs_after())

    def page(self, i):
        """Node i's /metrics; None when it does not answer."""
        code, body = self.http_get("/metrics", i=i, headers=self.bearer(), host=self.lab.address(i))
        return body if code == 200 else None


def samples(page):
    """Series -> value, and the type of each metric."""
    values, types = {}, {}
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            values[series] = float(value)
    return values, types


def counters(page):
    """Every series that must never go down."""
    values, types = samples(page)
    falls_never = tuple(
        name + end for name, kind in types.items() for end in {"counter": ("",), "histogram": ("_bucket", "_sum", "_count")}.get(kind, ())
    )
    return {series: value for series, value in values.items() if series.split("{")[0] in falls_never}


@pytest.fixture(scope="module")
def cluster(namespaces, bin_dir, directory):
    if why_not() is not None:
        skip_or_fail(why_not())
    settings = {"bw_enabled": "true", "bw_slot_ms": "200"}
    with NetLab(3) as lab, ScrapedCluster(lab, bin_dir, directory, settings=settings) as cluster:
        for i in (1, 2, 3):
            lab.shape(i, f"{FULL_MBIT}mbit")  # equal, and slower than what a machine of this pace carries
        cluster.wait_all_ok(with_bandwidth=True)
        yield cluster


@pytest.fixture(scope="module")
def prometheus(cluster, directory):
    rules = MONITORING / "ray_network_sense.rules.yml"
    with Prometheus(cluster.lab, 1, directory, cluster.sd_file, directory / "token-1", rules) as prometheus:
        wait_until("three targets that answer", lambda: len(prometheus.query("up == 1")) == 3, every=0.2)
        yield prometheus


def promtool(*arguments, **options):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, **options)


def test_the_configuration_and_the_rules_are_right(cluster, directory):
    done = promtool("test", "rules", SOURCES / "tests" / "data" / "monitoring" / "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (MONITORING / "prometheus.yml").read_text()
    assert "/etc/netsense/token" in text
    (directory / "example").mkdir()
    (directory / "example" / "prometheus.yml").write_text(text.replace("/etc/netsense/token", str(directory / "token-1")))
    shutil.copy(MONITORING / "ray_network_sense.rules.yml", directory / "example")
    done = promtool("check", "config", directory / "example" / "prometheus.yml")
    assert done.returncode == 0 and "rules found" in done.stdout, done.stdout + done.stderr


def test_every_alert_has_a_test():
    names = re.findall(r"alert: (\w+)", (MONITORING / "ray_network_sense.rules.yml").read_text())
    tested = (SOURCES / "tests" / "data" / "monitoring" / "rules_test.yml").read_text()
    assert names and [name for name in names if f"alertname: {name}\n        exp_alerts" not in tested] == []


def test_the_page_is_as_prometheus_wants_it(cluster):
    for i in (1, 2, 3):
        done = promtool("check", "metrics", input=cluster.page(i))
        assert done.returncode == 0, done.stdout + done.stderr
    assert PREFIX + "cluster_nodes 3" in cluster.page(1)
    assert PREFIX + "cluster_" not in cluster.page(2), "only the head knows"


def test_the_page_needs_the_token(cluster):
    for i in (1, 3):
        host = cluster.lab.address(i)
        assert cluster.http_get("/metrics", i=2, host=host)[0] == 401
        assert cluster.http_get("/metrics", i=2, host=host, headers={"Authorization": "Bearer wrong"})[0] == 403


def test_the_file_of_targets_names_every_bridge(cluster):
    targets = json.loads(cluster.sd_file.read_text())
    assert sorted(t["targets"][0] for t in targets) == [f"{cluster.lab.address(i)}:{HTTP_PORT}" for i in (1, 2, 3)]
    ids = {node["node_id"] for node in cluster.status()["nodes"]}
    assert {t["labels"]["node_id"] for t in targets} == ids
    assert [t["labels"]["head"] for t in targets].count("true") == 1


def test_what_prometheus_holds_is_what_status_says(cluster, prometheus):
    assert {labels["job"] for labels, _ in prometheus.query("up")} == {"ray_network_sense"}
    wait_until("all edges good", lambda: prometheus.query(f'sum({PREFIX}edges{{state="OK"}})')[0][1] == 6, every=0.2)
    assert prometheus.query(f"{PREFIX}cluster_nodes")[0][1] == 3

    def near():
        rates = prometheus.query(f"histogram_quantile(0.5, sum by (le) (rate({PREFIX}rtt_seconds_bucket[10s])))")
        shown = sorted(edge["rtt_p50_ms"] / 1e3 for edge in cluster.edges().values() if edge["rtt_p50_ms"])
        # A bucket is at most 2.5 times as long as its beginning.
        return rates and len(shown) == 6 and shown[0] / 2.5 <= rates[0][1] <= shown[-1] * 2.5

    wait_until("the median near that of status", near, every=0.5)
    worst = min(edge["bw_p50_mbps"] for edge in cluster.edges().values())
    shown = min(value for _, value in prometheus.query(f"{PREFIX}bandwidth_worst_bytes_per_second"))
    assert worst / 4 < shown * 8 / 1e6 < worst * 4, "bytes, of the same size as the megabits of status"


def test_the_dashboard_asks_what_prometheus_understands(cluster, prometheus):
    dashboard = json.loads((MONITORING / "grafana_dashboard.json").read_text())
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert "datasource" in variables
    asked = 0
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"].replace("$__rate_interval", "10s")
            for name in variables:
                expression = expression.replace(f"${name}", ".*")
            assert "$" not in expression
            found = prometheus.query(expression)
            asked += 1
            empty_is_right = "edge_bandwidth" in expression or expression.endswith("} == 0") or "expected" in expression
            assert found or empty_is_right, f"nothing for {panel['title']}: {expression}"
    assert asked > 20


def test_detail_by_setting(cluster):
    assert "_edge_" not in cluster.page(3)
    before = len(samples(cluster.page(3))[0])

    def config(*arguments):
        done = cluster.lab.run(
            1,
            [cluster.bin / "netsense-bridge", "config", *arguments, "--gcs-address", cluster.gcs_address, *cluster.gcs_token_flags(1)],
            env=cluster.environment,
        )
        assert done.returncode == 0, done.stderr

    config("set", "network_sense_metrics_detail", "true")
    try:
        page = wait_until("detail", lambda: (p := cluster.page(3)) and "_edge_rtt_seconds_bucket" in p and p)
        assert promtool("check", "metrics", input=page).returncode == 0
        for i in (1, 2):
            assert f'dst_address="{cluster.lab.address(i)}"' in page
        assert len(samples(page)[0]) - before <= 2 * 56, "as the setting's help says"
    finally:
        config("unset", "network_sense_metrics_detail")
    wait_until("no detail", lambda: "_edge_" not in cluster.page(3))


def test_counters_never_go_down_while_bridges_come_and_go(cluster):
    """Also when peers get new node ids, and paths leave the plan."""
    last = counters(cluster.page(2))
    assert any("rtt_seconds_bucket" in series for series in last) and any("pings_total" in series for series in last)
    for restarted in (2, 3, 2):
        cluster.stop_bridge(restarted)
        cluster.start_bridge(restarted)
        sent = f'{PREFIX}pings_total{{transport="tcp",fabric="ethernet",rail=""}}'
        goal = last[sent] + 6

        def grown():
            page = cluster.page(2)
            if page is None:
                return False
            now = {series: value for series, value in counters(page).items() if "gcs_write" not in series}  # the bridge's own
            fell = {series: (last[series], value) for series, value in now.items() if value < last.get(series, 0)}
            assert not fell
            last.update(now)
            return now.get(sent, 0) >= goal

        wait_until("six more pings", grown)
    cluster.wait_all_ok()


def test_a_slow_link_fires_the_alert(cluster, prometheus):
    wait_until("no alert", lambda: not prometheus.firing("RayNetworkEdgeSlow"), every=0.3)
    cluster.lab.slow_down(2, 3, f"{FULL_MBIT / 10}mbit", others=f"{FULL_MBIT}mbit")

    def named():
        return {labels["instance"].split(":")[0] for labels in prometheus.firing("RayNetworkEdgeSlow")}

    # Each by its bandwidth, and maybe by its round trip, too, which waits behind the streams.
    wait_until("an alert of nodes 2 and 3", lambda: len(named()) >= 2, every=0.3)
    assert named() == {cluster.lab.address(2), cluster.lab.address(3)}


def test_a_frozen_engine_fires_the_alert(cluster, prometheus):
    wait_until("no alert", lambda: not prometheus.firing("RayNetworkNodeUnreachable"), every=0.3)
    pid = cluster.engine_pid(3)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until("the node's alert", lambda: prometheus.firing("RayNetworkNodeUnreachable"), every=0.3)
        wait_until("the engine's alert", lambda: prometheus.firing("RayNetworkEngineDown"), every=0.3)
        assert [labels["node_address"] for labels in prometheus.firing("RayNetworkNodeUnreachable")] == [cluster.lab.address(3)]
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until("the alert to end", lambda: not prometheus.firing("RayNetworkNodeUnreachable"), every=0.3)


def test_a_killed_node_fires_the_alerts(cluster, prometheus):
    engine = cluster.engine_pid(3)
    cluster.stop_bridge(3, signal.SIGKILL)
    os.kill(engine, signal.SIGKILL)
    for alert in ("RayNetworkNodeUnreachable", "RayNetworkNodeLost", "RayNetworkBridgeDown", "RayNetworkNodeLeft"):
        wait_until(alert, lambda alert=alert: prometheus.firing(alert, "20s"), every=0.3)
    (lost,) = prometheus.firing("RayNetworkNodeLost")
    assert lost["node_address"] == cluster.lab.address(3) and lost["cluster"] == cluster.gcs_address
    # One fault is one critical alert, whoever else has an edge to that node.
    critical = prometheus.query('max_over_time(ALERTS{severity="critical",alertstate="firing"}[1m])')
    assert {labels["alertname"] for labels, _ in critical} == {"RayNetworkNodeUnreachable"}
    wait_until("two targets", lambda: len(json.loads(cluster.sd_file.read_text())) == 2)


def test_the_file_of_targets_goes_with_the_head(cluster):
    """Last: it ends the cluster."""
    assert cluster.sd_file.exists()
    assert cluster.stop_bridge(1) == 0
    assert not cluster.sd_file.exists()
    assert [name for name in os.listdir(cluster.directory) if name.startswith("sd.json")] == []
