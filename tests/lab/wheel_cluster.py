"""A real Ray cluster in whose Python the wheel of ray-netsense is installed, and nothing else of netsense.

    ray = installed_ray("pinned", directory)
    with NetLab(3) as lab, WheelCluster(lab, directory, ray) as cluster:
        cluster.netsense(1, "up")
"""

import os
from pathlib import Path

from cluster import RayCluster
from conftest import skip_or_fail
from ray_overlay import ray_with_wheel, site_packages

BUILD = Path(__file__).parents[2] / "build"
RAYS = {"pinned": BUILD / "venv/bin/ray", "newest": BUILD / "venv-newest/bin/ray"}


def installed_ray(which, directory):
    """The `ray` of a clean environment: "pinned" is the version of tests/requirements.txt, "newest" the newest release."""
    wheels = sorted((BUILD / "wheel").glob("ray_netsense-*.whl"))
    for what in (RAYS[which], *(wheels or ["build/wheel/*.whl"])):
        if not os.path.exists(what):
            skip_or_fail(f"there is no {what}: `make venv wheel` makes it")
    return ray_with_wheel(RAYS[which], wheels[-1], directory / which)


class WheelCluster(RayCluster):
    """Nothing of netsense runs until a test says `up`."""

    def __init__(self, lab, directory, ray, nodes=None, ray_environment=None, **options):
        """`nodes`: how many of the lab's nodes Ray starts on; the others are for later."""
        environment = {"RAY_TMPDIR": str(directory), "RAY_ADDRESS": f"{lab.address(1)}:6379", "PYTHONDONTWRITEBYTECODE": "1"}
        bin_dir = site_packages(ray) / "netsense_ray" / "bin"
        super().__init__(lab, bin_dir, directory, ray, ray_environment=environment | (ray_environment or {}), **options)
        self.environment = self.ray_environment  # one user's environment, in which Ray was started and commands are typed
        self.first_nodes = nodes or lab.nodes

    def __enter__(self):
        for i in range(1, self.lab.nodes + 1):
            self.lab.route(i, "add", "default", "dev", "e0")  # by which Ray finds the address of its own node
        self.temp = self.directory / "r"
        self.start_ray(1, "--head", "--port=6379", f"--temp-dir={self.temp}", *self.dashboard_flags())
        for i in range(2, self.first_nodes + 1):  # one after another: on one host, they share Ray's folder
            self.join(i)
        return self

    def dashboard_flags(self):
        return ["--include-dashboard=true", "--dashboard-host=0.0.0.0"]

    def join(self, i):
        self.start_ray(i, f"--address={self.gcs_address}")

    def netsense(self, i, *arguments, environment=None, timeout=120):
        """`python -m netsense_ray ...` in node i."""
        command = [self.ray.parent / "python", "-m", "netsense_ray", *arguments]
        return self.lab.run(i, command, env=environment or self.ray_environment, timeout=timeout)

    def token_path(self):
        return self.temp / "session_latest" / "netsense" / "token"

    def processes(self):
        """Of netsense, on all nodes: (node, program) -> pids."""
        names = ("netsense-bridge", "netsense-engine", "netsense-ucx")
        found = {(i, name): self.pids_of(i, name) for i in range(1, self.lab.nodes + 1) for name in names}
        return {key: pids for key, pids in found.items() if pids}
