"""A Ray cluster that asks for a token, and one that speaks TLS: `up` follows both by itself, and strangers are refused."""

import subprocess

import pytest
from cluster import wait_shown
from wheel_cluster import Hosts, WheelCluster, installed_ray

SECRET = "what-ray-was-started-with-0123456789"
TOPOLOGY = "/api/v0/network_topology"


class Secured(WheelCluster):
    def dashboard_flags(self):
        return ["--include-dashboard=false"]

    def as_stranger(self, *gone, **changed):
        """The environment of somebody who has the address, and another secret or none."""
        return {name: value for name, value in self.ray_environment.items() if name not in gone} | changed

    def bridge_status(self, environment):
        command = [self.bin / "netsense-bridge", "status", "--gcs-address", self.gcs_address]
        return self.lab.run(2, command, env=environment)

    def ping_door(self, token):
        file = self.directory / "given-token"
        file.touch(0o600)
        file.write_text(token)
        command = [self.bin / "netsense-bench", "ping", f"{self.lab.address(1)}:18590", "-n", "10", "--token-file", file]
        return self.lab.run(2, command, env=self.environment)

    def api(self, token=None):
        return self.http_get(TOPOLOGY, i=2, headers={"Authorization": f"Bearer {token}"} if token else {})[0]


@pytest.fixture(scope="module")
def pinned_ray(namespaces, directory):
    return installed_ray("pinned", directory)


@pytest.fixture(scope="module")
def newest_ray(namespaces, directory):
    return installed_ray("newest", directory)


def made(directory, name):
    (directory / name).mkdir()
    return directory / name


def check_up_and_down(cluster):
    done = cluster.netsense(2, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_shown("2/2 reachable, 2 of 2 edges OK", lambda: cluster.netsense(2, "status"))
    yield
    done = cluster.netsense(1, "down")
    assert done.returncode == 0 and "netsense ended on 2 nodes" in done.stdout, done.stdout + done.stderr
    assert cluster.processes() == {}


def check_refused(done, *words):
    assert done.returncode == 3, done.stdout + done.stderr
    assert any(word in done.stderr for word in words) and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("which", ["pinned", "newest"])
def test_a_cluster_with_a_token(which, request, directory):
    ray = request.getfixturevalue(f"{which}_ray")
    asks_for_it = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": SECRET}
    with Hosts(2, made(directory, f"token-{which}")) as lab, Secured(lab, lab.temp.parent, ray, ray_environment=asks_for_it) as cluster:
        steps = check_up_and_down(cluster)
        next(steps)
        assert cluster.token_path().read_text().strip() == SECRET, "Ray's own, and no second one"
        assert (cluster.api(), cluster.api("guessed"), cluster.api(SECRET)) == (401, 403, 200)
        for stranger in (cluster.as_stranger("RAY_AUTH_TOKEN"), cluster.as_stranger(RAY_AUTH_TOKEN="guessed")):
            check_refused(cluster.bridge_status(stranger), "token")
            check_refused(cluster.netsense(2, "topology", environment=stranger), "token")
        assert cluster.ping_door(SECRET).returncode == 0
        check_refused(cluster.ping_door("guessed"), "token")
        assert next(steps, "done") == "done"


def identity(directory, name, addresses):
    """A self-signed certificate that is its own authority, and the environment that has Ray use it."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.crt"
    names = ",".join(["DNS:localhost", "IP:127.0.0.1", *(f"IP:{address}" for address in addresses)])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return {"RAY_USE_TLS": "1", "RAY_TLS_SERVER_CERT": str(certificate), "RAY_TLS_SERVER_KEY": str(key), "RAY_TLS_CA_CERT": str(certificate)}


@pytest.mark.parametrize("which", ["pinned", "newest"])
def test_a_cluster_with_tls(which, request, directory):
    ray = request.getfixturevalue(f"{which}_ray")
    with Hosts(2, made(directory, f"tls-{which}")) as lab:
        addresses = [lab.address(1), lab.address(2)]
        ours, foreign = (identity(lab.temp.parent, name, addresses) for name in ("ours", "foreign"))
        with Secured(lab, lab.temp.parent, ray, ray_environment=ours) as cluster:
            steps = check_up_and_down(cluster)
            next(steps)
            check_refused(cluster.bridge_status(cluster.as_stranger(*ours)), "TLS")
            check_refused(cluster.bridge_status(cluster.as_stranger(**foreign)), "TLS")
            own = cluster.token_path().read_text().strip()
            assert (cluster.api(), cluster.api("guessed"), cluster.api(own)) == (401, 403, 200)
            assert next(steps, "done") == "done"
