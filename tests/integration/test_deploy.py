"""What an operator installs: the Debian package, the services, the manifests. NETSENSE_BUILD is the build folder.

The package is made of what is built already, and installed into a root of its own; the programs run from there.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pace
import pytest
import yaml
from conftest import skip_or_fail

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "raylet_bridge" / "deploy"
UNITS = ["netsense-bridge.service", "netsense-engine.service"]


def tool(name):
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        skip_or_fail(f"{name} is needed")
    return path


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=pace.hangs_after(), **options)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def package(directory):
    """The path of the .deb."""
    tool("dpkg-shlibdeps")
    made = directory / "deb"
    config = Path(os.environ["NETSENSE_BUILD"]) / "CPackConfig.cmake"
    run([tool("cpack"), "-G", "DEB", "--config", config, "-B", made], cwd=directory)
    (deb,) = made.glob("netsense_*.deb")
    return deb


def field(package, name):
    return run(["dpkg-deb", "-f", package, name]).strip()


def test_the_package_names_what_it_needs(package):
    depends = {entry.split()[0] for entry in field(package, "Depends").split(",")}
    for library in ("libgrpc++1.51", "libhwloc15", "libssl3", "libsystemd0", "libucx0"):
        assert library in depends
    assert "libibverbs1" in field(package, "Recommends"), "loaded where it is there, and not linked"
    assert not any(name.endswith("-dev") for name in depends)
    paths = {line.split()[5] for line in run(["dpkg-deb", "-c", package]).splitlines()}
    for path in ("usr/bin/netsense-engine", "usr/bin/netsense-bridge", "usr/bin/netsense-bench", "usr/libexec/netsense/netsense-ucx",
                 "etc/default/netsense", "etc/netsense/", "usr/share/doc/netsense/copyright", "usr/share/doc/netsense/operations.md",
                 "usr/share/doc/netsense/examples/raycluster.yaml", *(f"usr/lib/systemd/system/{unit}" for unit in UNITS)):  # fmt: skip
        assert f"./{path}" in paths
    assert not any(path.startswith("./usr/local") for path in paths)


class Root:
    """A root that dpkg manages and that has nothing else in it."""

    def __init__(self, path):
        self.path = path
        for folder in ("info", "updates", "triggers"):
            (path / "var/lib/dpkg" / folder).mkdir(parents=True)
        (path / "var/lib/dpkg/status").touch()

    def dpkg(self, *arguments):
        # The libraries are the machine's own; the scripts know DPKG_ROOT, so none of them touches the machine.
        return run(["dpkg", f"--root={self.path}", "--force-script-chrootless", "--force-depends", *arguments])

    def files(self):
        found = {str(path.relative_to(self.path)) for path in self.path.rglob("*")}
        return {path for path in found if not path.startswith("var/lib/dpkg")}


def test_it_installs_runs_and_leaves_nothing(package, directory):
    root = Root(directory / "root")
    before = root.files()
    root.dpkg("-i", package)
    for program in ("netsense-engine", "netsense-bridge", "netsense-bench"):
        assert run([root.path / "usr/bin" / program, "--version"]).startswith(program)
    listed = json.loads(run([root.path / "usr/bin/netsense-engine", "--list-transports", "--json"]))
    assert {"name": "ucx", "available": True, "reason": ""}.items() <= next(t for t in listed["transports"] if t["name"] == "ucx").items()
    assert os.path.getsize(root.path / "usr/bin/netsense-engine") < 20_000_000, "without symbols"

    # What the operator changed outlives removal; a purge takes it too.
    settings = root.path / "etc/default/netsense"
    settings.write_text('NETSENSE_BRIDGE_ARGS="--standalone --head"\n')
    token = root.path / "etc/netsense/token"
    token.write_text("secret\n")
    root.dpkg("-r", "netsense")
    assert settings.exists() and token.exists() and not (root.path / "usr").exists()
    root.dpkg("-P", "netsense")
    left = {path for path in root.files() - before if not (root.path / path).is_dir()}
    assert not left and not (root.path / "etc/netsense").exists()


@pytest.fixture
def verifiable(package, directory):
    """The packaged units, with programs that exist here: systemd-analyze looks for them."""
    unpacked = directory / "unpacked"
    if not unpacked.exists():
        run(["dpkg-deb", "-x", package, unpacked])
    folder = directory / "units"
    folder.mkdir(exist_ok=True)
    for unit in UNITS:
        text = (unpacked / "usr/lib/systemd/system" / unit).read_text()
        assert "ExecStart=/usr/bin/netsense-" in text
        (folder / unit).write_text(text.replace("ExecStart=/usr", f"ExecStart={unpacked}/usr"))
    return folder


def test_systemd_takes_the_units(verifiable):
    analyze = tool("systemd-analyze")
    done = subprocess.run(
        [analyze, "verify", "--man=no", *(verifiable / unit for unit in UNITS)], capture_output=True, text=True, timeout=pace.hangs_after()
    )
    assert done.returncode == 0 and (done.stdout + done.stderr).strip() == ""
    # It would have said so.
    wrong = verifiable / "netsense-wrong.service"
    wrong.write_text((verifiable / UNITS[0]).read_text().replace("WatchdogSec", "WatchDogSeconds"))
    done = subprocess.run([analyze, "verify", "--man=no", wrong], capture_output=True, text=True, timeout=pace.hangs_after())
    assert "WatchDogSeconds" in done.stderr


def test_the_services_are_exposed_little(verifiable):
    for unit in UNITS:
        run([tool("systemd-analyze"), "security", "--offline=yes", "--threshold=25", "--no-pager", verifiable / unit])


def knows_its_words(program, words):
    """They would start it; so it is stopped by what it reads next."""
    stopped = subprocess.run([program, *words, "--settings", "/nonexistent"], capture_output=True, text=True, timeout=pace.hangs_after())
    assert stopped.returncode == 2 and "cannot read the settings file" in stopped.stderr, stopped.stderr


def test_the_bridge_knows_the_words_of_its_unit_and_of_its_image(bin_dir):
    (start,) = re.findall(r"^ExecStart=/usr/bin/netsense-bridge (.*) \$NETSENSE_BRIDGE_ARGS$", (DEPLOY / "systemd" / UNITS[0]).read_text(), re.M)
    words = start.replace("%t", "/run").split()
    assert "--metrics-sd-file" in words
    for more in ([], ["--metrics-sd-file", "off"]):  # NETSENSE_BRIDGE_ARGS may say again what the unit says
        knows_its_words(bin_dir / "netsense-bridge", words + more)
    (words,) = re.findall(r"^CMD (.*)$", (DEPLOY / "Dockerfile").read_text(), re.M)
    knows_its_words(bin_dir / "netsense-bridge", json.loads(words))
    for line in (DEPLOY / "debian/netsense.default").read_text().splitlines():
        if shown := re.search(r":\s+(--standalone.*)$", line):
            knows_its_words(bin_dir / "netsense-bridge", ["run", *shown[1].split()])


def pods():
    (cluster,) = yaml.safe_load_all((DEPLOY / "kuberay/raycluster.yaml").read_text())
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_every_pod_of_the_ray_cluster_has_its_sidecar(bin_dir):
    for pod in pods():
        assert pod["shareProcessNamespace"] is True, "without it no raylet is seen"
        ray, netsense = pod["containers"]
        assert ray["name"] == "ray", "KubeRay takes the first container for Ray's"
        volumes = {volume["name"] for volume in pod["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in netsense["volumeMounts"]}
        assert set(mounts) == volumes
        secret = next(volume["secret"] for volume in pod["volumes"] if "secret" in volume)
        assert secret["defaultMode"] == 0o440 and pod["securityContext"]["fsGroup"] == netsense["securityContext"]["runAsUser"], (
            "read by the group alone"
        )
        assert any(netsense["args"][netsense["args"].index("--token-file") + 1].startswith(path + "/") for path in mounts.values())
        assert "readinessProbe" not in netsense, "a sidecar must not take Ray's pod out of service"
        assert "livenessProbe" not in netsense, "a sidecar that waits for a raylet or a GCS must not be restarted for it"
        assert pod.get("restartPolicy", "Always") == "Always", "one that ends must be"
        knows_its_words(bin_dir / "netsense-bridge", netsense["args"])
    monitor = yaml.safe_load((DEPLOY / "kuberay/podmonitor.yaml").read_text())
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in netsense["ports"]}


def test_the_image_is_built_from_what_there_is():
    text = (DEPLOY / "Dockerfile").read_text()
    stages = [line.split()[1:] for line in text.splitlines() if line.startswith("FROM ")]
    assert stages == [["debian:12", "AS", "build"], ["debian:12-slim"]]
    presets = {preset["name"] for preset in json.loads((REPOSITORY / "CMakePresets.json").read_text())["configurePresets"]}
    assert "--preset release" in text and "release" in presets
    # The list of packages is cut by its headings: the command is the Dockerfile's own.
    (cut,) = [line for line in text.splitlines() if "packages.txt |" in line]
    cut = cut.strip("& \\").split("| xargs")[0]
    listed = run(["bash", "-euo", "pipefail", "-c", cut], cwd=REPOSITORY).split()
    assert "g++" in listed and "libsystemd-dev" in listed and "chromium" not in listed and "iproute2" not in listed
