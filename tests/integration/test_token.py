"""One node with another token: refused on both sides, with the reason, and nobody else is disturbed. And a token that is changed."""

import json
import os
import subprocess
import threading

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


def rotate(cluster, i, *flags, code=0):
    done = cluster.lab.run(
        i, [cluster.bin / "netsense-bridge", "token", "rotate", "--token-file", cluster.directory / f"token-{i}", *flags], env=cluster.environment
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


class SessionsAllTheTime:
    """Sessions of a person's hand tool from node to node, each of a few pings, one after the other until the end."""

    def __init__(self, cluster, src, dst):
        self.cluster, self.src, self.dst = cluster, src, dst
        self.ended, self.sessions, self.wrong = threading.Event(), 0, []

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        door = f"{self.cluster.lab.address(self.dst)}:18590"
        command = [
            self.cluster.bin / "netsense-bench",
            "ping",
            door,
            "-n",
            "5",
            "--json",
            "--token-file",
            self.cluster.directory / f"token-{self.src}",
        ]
        while not self.ended.is_set():
            done = self.cluster.lab.run(self.src, command, env=self.cluster.environment)
            self.sessions += 1
            if done.returncode != 0 or json.loads(done.stdout)["results"][0]["lost"] != 0:
                self.wrong.append(done.stdout + done.stderr)


def test_a_token_is_changed_while_the_cluster_runs(namespaces, bin_dir, directory):
    folder = directory / "rotated"
    folder.mkdir()
    with NetLab(3) as lab, EmbeddedCluster(lab, bin_dir, folder) as cluster:
        cluster.wait_all_ok()

        def look():
            """What is so from the first token to the last."""
            assert all(edge["state"] == "OK" for edge in cluster.edges().values())
            for i in (1, 2, 3):
                assert all(int(path["pings_lost"]) == 0 for path in cluster.engine_status(i)["snapshot"]["paths"])

        with SessionsAllTheTime(cluster, 3, 1) as there, SessionsAllTheTime(cluster, 1, 3) as back:
            for i, flags in ((1, ()), (2, ("--next", folder / "token-1")), (3, ("--next", folder / "token-1"))):
                said = rotate(cluster, i, *flags)
                assert "the one before is taken until" in said and (folder / "token-1").read_text().strip() not in said
                wait_until(f"both programs of node {i} to take it", lambda i=i: cluster.log(i).count("the token was changed") == 2)
                before = there.sessions, back.sessions
                wait_until("sessions with it", lambda b=before: there.sessions > b[0] + 2 and back.sessions > b[1] + 2)
                look()
                (folder / f"token-{i}").chmod(0o600)
                assert os.stat(folder / f"token-{i}.previous").st_mode & 0o777 == 0o600
        assert there.wrong == [] and back.wrong == []
        assert len({(folder / f"token-{i}").read_text() for i in (1, 2, 3)}) == 1
        # One that begins in the middle of it takes both, too.
        old = (folder / "token-3.previous").read_text().split("\n")[0]
        (folder / "still-old").touch(0o600)
        (folder / "still-old").write_text(old + "\n")
        asked = lab.run(
            2,
            [bin_dir / "netsense-bench", "ping", f"{lab.address(1)}:18590", "-n", "3", "--token-file", folder / "still-old"],
            env=cluster.environment,
        )
        assert asked.returncode == 0, asked.stderr
        cluster.tokens = dict.fromkeys((1, 2, 3), (folder / "token-1").read_text().strip())
        assert cluster.stop_bridge(3) == 0
        cluster.start_bridge(3)
        cluster.wait_all_ok()
        assert "less than 60 minutes ago" in rotate(cluster, 3, code=3)
        assert rotate(cluster, 3, "--next", folder / "token-1") == f"{folder}/token-3 has that token already\n"


def test_what_can_not_be_rotated_is_said(namespaces, bin_dir, directory):
    folder = directory / "refused"
    folder.mkdir()
    run = lambda *flags, **env: subprocess.run(  # noqa: E731
        [bin_dir / "netsense-bridge", "token", "rotate", *flags],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **env},
        capture_output=True,
        text=True,
        input="\n",
    )
    none = run()
    assert none.returncode == 3 and "no token" in none.stderr
    rays = run(RAY_AUTH_TOKEN="secret")
    assert rays.returncode == 3 and "Ray's" in rays.stderr
    secret = folder / "secret"
    secret.touch(0o600)
    secret.write_text("one\n")
    (folder / "link").symlink_to(secret)
    link = run("--token-file", folder / "link")
    assert link.returncode == 3 and "link" in link.stderr
    (folder / ".ray").mkdir()
    (folder / ".ray/auth_token").touch(0o600)
    (folder / ".ray/auth_token").write_text("rays\n")
    named = run("--token-file", folder / ".ray/auth_token")
    assert named.returncode == 3 and "Ray's" in named.stderr
    odd = folder / "odd"
    odd.touch(0o600)
    odd.write_bytes(b"to\xffken\n")
    odd = run("--token-file", secret, "--next", odd)
    assert odd.returncode == 2 and "printable" in odd.stderr
    empty = run("--token-file", secret, "--next", "-")
    assert empty.returncode == 2 and "no token" in empty.stderr
    assert secret.read_text() == "one\n" and not (folder / "secret.previous").exists()
