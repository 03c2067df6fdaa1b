"""One node with another token: refused on both sides, with the reason, and nobody else is disturbed."""

import pace
from cluster import EmbeddedCluster, wait_until
from netlab import NetLab


def test_a_wrong_token_is_refused_on_both_sides(namespaces, bin_dir, directory):
    with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, directory) as cluster:
        cluster.wait_all_ok()
        # The same engine with another secret on its door: its bridge keeps the right one for the GCS.
        cluster.stop_bridge(3)
        stranger = directory / "stranger"
        stranger.touch(0o600)
        stranger.write_text("not the cluster's secret\n")
        socket = directory / "stranger-run" / "engine.sock"
        engine = lab.popen(
            3,
            [bin_dir / "netsense-engine", "--listen", f"{lab.address(3)}:18590", "--token-file", stranger, "--control-socket", socket],
            env=cluster.environment,
        )
        wait_until("the stranger's socket", socket.exists)
        cluster.start_bridge(3, extra=["--engine-socket", socket])

        for src, dst in ((1, 3), (3, 1), (2, 3), (3, 2)):
            wait_until(f"{src} -> {dst} REFUSED", lambda: (e := cluster.edge(src, dst)) and e["state"] == "REFUSED")
            assert "token" in cluster.edge(src, dst)["reason"]
        assert cluster.edge(1, 2)["state"] == cluster.edge(2, 1)["state"] == "OK"
        # The responders know it too.
        for i in (1, 2):
            counters = cluster.engine_status(i)["snapshot"]["counters"]
            assert int(counters["door_token_refused"]) > 0
            assert "token" in counters["last_door_rejection"]
        shown = cluster.status_run()
        assert shown.returncode == 1 and "REFUSED" in shown.stdout
        engine.terminate()
        engine.wait(timeout=pace.hangs_after())


def test_a_bridge_with_a_wrong_token_says_so_and_keeps_trying(namespaces, bin_dir, directory):
    with NetLab(2) as lab, EmbeddedCluster(lab, bin_dir, directory, tokens={2: "another secret"}) as cluster:
        wait_until("words about the token", lambda: "token" in cluster.log(2).lower() and "gcs" in cluster.log(2).lower())
        wait_until("the head alone", lambda: (p := cluster.status()) and len(p["nodes"]) == 1)
        assert cluster.bridges[2].poll() is None
