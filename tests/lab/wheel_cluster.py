"""A real Ray cluster in whose Python the wheel of ray-netsense is installed, and nothing else of netsense.

ray = installed_ray("pinned", directory)
with Hosts(3, directory) as lab, WheelCluster(lab, directory, ray) as cluster:
    cluster.netsense(1, "up")
"""

import subprocess
from pathlib import Path

import pace
from cluster import RayCluster
from conftest import skip_or_fail
from netlab import NetLab
from ray_overlay import ray_alone, site_packages

BUILD = Path(__file__).parents[2] / "build"
RAYS = {"pinned": BUILD / "venv/bin/ray", "newest": BUILD / "venv-newest/bin/ray"}


def installed_ray(which, directory):
    """The `ray` of a clean environment: "pinned" is the version of tests/requirements.txt, "newest" the newest release."""
    if not RAYS[which].exists():
        skip_or_fail(f"there is no {RAYS[which]}: `make venv` makes it")
    ray = ray_alone(RAYS[which], directory / which)
    install_wheel(ray)
    return ray


def install_wheel(ray):
    """Into the environment of that `ray`, as its user does it."""
    wheels = sorted((BUILD / "wheel").glob("ray_netsense-*.whl"))
    if not wheels:
        skip_or_fail("there is no build/wheel/ray_netsense-*.whl: `make wheel` makes it")
    pip = [BUILD / "venv/bin/pip", "--python", ray.parent / "python", "--disable-pip-version-check", "--no-cache-dir"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheels[-1]], check=True)


class Hosts(NetLab):
    """Nodes that each see a folder of their own at `temp`: Ray keeps files there that say which node the host is."""

    def __init__(self, nodes, directory):
        super().__init__(nodes)
        self.temp = Path(directory) / "r"
        for folder in (self.temp, *map(self.folder, range(1, nodes + 1))):
            folder.mkdir()

    def folder(self, i):
        return self.temp.with_name(f"host-{i}")

    def command(self, i, arguments):
        # `ip netns exec` gives each program mounts of its own.
        mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
        return super().command(i, ["sh", "-c", mount, "sh", self.folder(i), self.temp, *arguments])


class WheelCluster(RayCluster):
    """Nothing of netsense runs until a test says `up`."""

    def __init__(self, lab, directory, ray, nodes=None, ray_environment=None, **options):
        """`nodes`: how many of the lab's nodes Ray starts on; the others are for later."""
        environment = {"RAY_ADDRESS": f"{lab.address(1)}:6379", "PYTHONDONTWRITEBYTECODE": "1"}
        bin_dir = site_packages(ray) / "netsense_ray" / "bin"
        super().__init__(lab, bin_dir, directory, ray, ray_environment=environment | (ray_environment or {}), **options)
        self.environment = self.ray_environment  # one user's environment, in which Ray was started and commands are typed
        self.first_nodes = nodes or lab.nodes

    def __enter__(self):
        for i in range(1, self.lab.nodes + 1):
            self.lab.route(i, "add", "default", "dev", "e0")  # by which Ray finds the address of its own node
        self.start_ray(1, "--head", "--port=6379", f"--temp-dir={self.lab.temp}", *self.dashboard_flags())
        self.join(range(2, self.first_nodes + 1))
        return self

    def dashboard_flags(self):
        return ["--include-dashboard=true", "--dashboard-host=0.0.0.0"]

    def netsense(self, i, *arguments, environment=None):
        """`python -m netsense_ray ...` in node i."""
        if arguments[0] in ("up", "down") and "--timeout" not in arguments:
            arguments += ("--timeout", pace.hangs_after())
        command = [self.ray.parent / "python", "-m", "netsense_ray", *arguments]
        return self.lab.run(i, command, env=environment or self.ray_environment)

    def token_path(self, i=1):
        (session,) = self.lab.folder(i).glob("session_2*")
        return session / "netsense" / "token"

    def processes(self):
        """Of netsense, on all nodes: (node, program) -> pids."""
        names = ("netsense-bridge", "netsense-engine", "netsense-ucx")
        found = {(i, name): self.pids_of(i, name) for i in range(1, self.lab.nodes + 1) for name in names}
        return {key: pids for key, pids in found.items() if pids}
