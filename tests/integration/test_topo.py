"""`netsense-bench topo` as a person runs it. The data files' own answers are tests/unit/inventory_machines_test.cc's.

NETSENSE_BIN is the folder with the three programs. Root, for the machine without /sys.
"""

import json
import os
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pace
import pytest

BENCH = Path(os.environ["NETSENSE_BIN"]) / "netsense-bench"
DATA = Path(__file__).parent.parent / "data" / "topology"
MACHINES = sorted(
    path
    for path in [*DATA.glob("hwloc/*.xml"), *DATA.glob("nccl/*.xml"), DATA / "sysfs" / "h100-infiniband"]
    if "MUST-FAIL" not in path.name and path.name != "made-classless.xml"  # that one alone shows nothing
)
TOO_NEW = DATA / "hwloc" / "hwloc-nvidiaDGX2-v3-MUST-FAIL-on-2.9.xml"


def topo(*arguments, prefix=(), code=0):
    done = subprocess.run([*prefix, BENCH, "topo", *map(str, arguments)], capture_output=True, text=True, timeout=pace.hangs_after())
    assert done.returncode == code, done
    return done


def document(*arguments, **options):
    return json.loads(topo(*arguments, "--json", **options).stdout)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_every_machine_in_every_form(machine, tmp_path):
    shown = document("--from", machine)
    assert shown["schema_version"] == 1
    assert [gpu["name"] for gpu in shown["gpus"]] == shown["affinity_rows"]
    assert [nic["name"] for nic in shown["nics"]] == shown["affinity_columns"]
    assert [len(row) for row in shown["affinity"]] == [len(shown["nics"])] * len(shown["gpus"])
    names = {nic["name"] for nic in shown["nics"]}
    for gpu in shown["gpus"]:
        assert {"name", "pci", "numa", "nearest_nic", "affinity"} <= gpu.keys()
        assert gpu["nearest_nic"] in names or gpu["nearest_reason"]
    for nic in shown["nics"]:
        assert {"name", "pci", "numa", "fabric", "role", "rail", "speed_gbps"} <= nic.keys()
        assert nic["role"] is not None or nic["role_reason"]

    table = topo("--from", machine).stdout
    for name in [gpu["name"] for gpu in shown["gpus"]] + sorted(names):
        assert name in table
    assert "CPU Affinity" in table and "Legend:" in table and "Rails" in table

    picture = tmp_path / "machine.svg"
    topo("--from", machine, "--svg", picture)
    texts = {text.text for text in xml.etree.ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")}
    assert names <= texts


def test_this_machine():
    here = document()
    assert here["source"] == "this machine"
    assert here["numa_nodes"] and here["numa_nodes"][0]["cpus"]
    with_route = {line.split()[0] for line in Path("/proc/net/route").read_text().splitlines()[1:] if line.split()[1] == "00000000"}
    for nic in here["nics"]:
        if nic["netdev"] in with_route:
            assert nic["role"] == "management" and nic["addresses"]
    assert "CPU Affinity" in topo().stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("hide", ["umount -l /sys", "mount -t tmpfs none /sys"])
def test_without_sys(hide):
    """A container without /sys: the addresses are still known, and the rest is said to be missing."""
    prefix = ["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh"]
    here = document(prefix=prefix)
    assert any("no /sys" in note for note in here["notes"])
    assert here["gpus"] == []
    assert here["numa_nodes"][0]["cpus"]
    assert "no /sys" in topo(prefix=prefix).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_network_namespace_has_its_own_ports():
    """Two links in a namespace of their own; rails by hand, as they are made of software."""
    script = (
        "mount -t sysfs none /sys && ip link add west type veth peer name west-far && "
        "ip link add east type veth peer name east-far && ip addr add 10.1.0.1/24 dev west && "
        'ip link set west up && ip link set west-far up && exec "$@"'
    )
    prefix = ["unshare", "--net", "--mount", "sh", "-c", script, "sh"]
    assert document(prefix=prefix)["nics"] == []
    shown = topo("--rails", "east,west", prefix=prefix).stdout
    assert "0 east, 1 west" in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_hosts_sys_in_another_network_namespace():
    """A device of the same name is not the same device: its figures must not be taken for ours."""
    inner = 'ip link add host0 mtu 9000 type veth peer name far0 && ip addr add 10.1.0.1/24 dev host0 && ip link set host0 up && exec "$@"'
    script = (
        "ip link add host0 mtu 1400 type veth peer name far0 && mount -t sysfs none /sys && "
        # Without exec: the outer namespace lives as long as a process is in it.
        f"unshare --net sh -c '{inner}' sh \"$@\"; exit $?"
    )
    here = document(prefix=["unshare", "--net", "--mount", "sh", "-c", script, "sh"])
    assert any("another network namespace" in note for note in here["notes"])
    [nic] = [nic for nic in here["nics"] if nic["netdev"] == "host0"]
    assert nic["addresses"] == ["10.1.0.1"] and nic["mtu"] is None


def test_rails_by_hand():
    machine = DATA / "hwloc" / "coral-lassen.xml"
    shown = document("--from", machine, "--rails", "mlx5_3,hsi0")
    assert {nic["name"]: nic["rail"] for nic in shown["nics"] if nic["rail"] is not None} == {"mlx5_3": 0, "mlx5_0": 1}
    assert "mlx5_7" in topo("--from", machine, "--rails", "mlx5_7", code=2).stderr


def test_what_hwloc_does_not_survive_ends_nothing():
    """libhwloc ends with a signal over this file; the program that read it must not."""
    failed = topo("--from", DATA / "hwloc" / "made-crash-MUST-FAIL.xml", code=3)
    assert "hwloc cannot take this file" in failed.stderr and not failed.stdout


@pytest.mark.parametrize("machine", MACHINES, ids=lambda path: path.name)
def test_each_question_mark_has_its_cause(machine):
    table = topo("--from", machine).stdout
    cells = [line.split()[1:] for line in table.split("\n\n")[0].splitlines()[1:]]
    if any("?" in row for row in cells):
        notes = table.partition("\nNotes:\n")[2]
        assert any(word in notes for word in ("is told", "is not told", "NUMA number", "not known")), table


def test_what_cannot_be_read_says_why(tmp_path):
    assert "format 3.0" in topo("--from", TOO_NEW, code=3).stderr
    text = tmp_path / "notes.txt"
    text.write_text("no topology")
    assert "not XML" in topo("--from", text, code=3).stderr
    assert "snapshot" in topo("--from", tmp_path, code=3).stderr
    topo("--from", tmp_path / "absent.xml", code=2)
    topo("--no-such-flag", code=2)
    assert "cannot write" in topo("--from", MACHINES[0], "--svg", tmp_path / "no" / "folder.svg", code=3).stderr
    assert "another machine" in topo("--from", MACHINES[0], "--topology-override", DATA / "nccl" / "azure-ndv5-topo.xml", code=3).stderr
