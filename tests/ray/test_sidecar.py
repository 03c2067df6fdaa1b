"""The bridge as a sidecar: it shares the network and the process table with a real raylet, and neither files nor rights.

What a pod of Kubernetes gives it (raylet_bridge/deploy/kuberay), without Kubernetes: a file system of its own over the folder where
Ray's session lies, another user than Ray's, no capability. NETSENSE_RAY is the path of Ray's command.
"""

import json
import os
import signal
import subprocess
from pathlib import Path

import pace
import pytest
from cluster import RayCluster, wait_until
from conftest import skip_or_fail
from netlab import NetLab

USER = 1000

# What the container's image, its secret and its empty volume hold.
CONTAINER = """
set -eu
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$2/bin" "$2/secret" "$2/run"
cp "$1/netsense-bridge" "$1/netsense-engine" "$2/bin"
printf '%s' "$TOKEN" > "$2/secret/token"
chown "0:$3" "$2/secret/token"
chmod 440 "$2/secret/token"
chmod 777 "$2/run"
unset TOKEN
program=$2/bin/netsense-bridge
user=$3
shift 3
exec setpriv --reuid "$user" --regid "$user" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$program" "$@"
"""


@pytest.fixture
def cluster(namespaces, bin_dir, directory):
    ray = os.environ.get("NETSENSE_RAY", "")
    if not os.path.exists(ray):
        skip_or_fail(f"no Ray at NETSENSE_RAY='{ray}': `make test` makes one")
    with NetLab(1) as lab:
        yield RayCluster(lab, bin_dir, directory, ray)


def start_sidecar(cluster, log):
    folder = cluster.directory
    words = ["run", "--wait-for-raylet", "--node-ip", cluster.lab.address(1), "--token-file", folder / "secret/token",
             "--metrics-sd-file", "off", "--network-sense-enabled", "true", "--network-sense-tick-ms", "500"]  # fmt: skip
    environment = cluster.environment | {"TOKEN": cluster.tokens[1], "NETSENSE_RUNTIME_DIR": f"{folder}/run"}
    with open(log, "ab") as file:
        return cluster.lab.popen(
            1,
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", CONTAINER, "sh", cluster.bin, folder, USER, *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )


@pytest.mark.timing
def test_a_sidecar_finds_the_raylet_of_its_pod_and_ends_with_it(cluster, tmp_path):
    log = tmp_path / "sidecar.log"  # opened outside: the sidecar writes to a descriptor
    sidecar = start_sidecar(cluster, log)
    # It is there first, as in a pod.
    wait_until("it to wait", lambda: "waiting: no raylet" in log.read_text())
    cluster.start_cluster()
    wait_until("a healthy bridge", lambda: cluster.http_get("/healthz")[0] == 200)
    assert cluster.http_get("/api/v0/network_topology")[0] == 401
    payload = json.loads(cluster.http_get("/api/v0/network_topology", headers=cluster.bearer())[1])["data"]["result"]
    (node,) = payload["nodes"]
    assert node["is_head"] and node["address"] == cluster.lab.address(1)

    def door():
        (node,) = json.loads(cluster.http_get("/api/v0/network_topology", headers=cluster.bearer())[1])["data"]["result"]["nodes"]
        return node.get("door")

    wait_until("its door in Ray's GCS", door)
    # Apart as said: nothing of Ray's session is seen, and there is no right to look into the raylet.
    assert sorted(os.listdir(f"/proc/{sidecar.pid}/root{cluster.directory}")) == ["bin", "run", "secret"]
    about = Path(f"/proc/{sidecar.pid}/status").read_text()
    assert f"\nUid:\t{USER}\t{USER}" in about and "\nCapEff:\t0000000000000000" in about
    assert os.stat(f"/proc/{cluster.raylet_pid(1)}").st_uid != USER

    with pace.within(5, "the sidecar ends with its raylet"):
        os.kill(cluster.raylet_pid(1), signal.SIGKILL)
        wait_until("the sidecar to end", lambda: sidecar.poll() is not None)
    assert sidecar.returncode == 0
    assert not cluster.pids_of(1, "netsense-engine")
