"""`compare` on real runs: it is silent on two of the same, finds a link that has become 10 % slower, and what it reads goes into a report."""

import json
import subprocess

import pace
import pytest
from netlab import NetLab

RUN = ["bw", "--insecure", "-D", "0.3", "--warmup", "0.1", "--repeat", "5", "--blocking", "--json"]


@pytest.fixture(scope="module")
def lab(namespaces):
    with NetLab(nodes=2) as made:
        yield made


@pytest.fixture(scope="module")
def server(lab, bin_dir):
    process = lab.popen(
        2, [bin_dir / "netsense-bench", "serve", "--listen", f"{lab.address(2)}:0", "--insecure", "--json"], stdout=subprocess.PIPE, text=True
    )
    return f"{lab.address(2)}:{json.loads(process.stdout.readline())['port']}"


@pytest.fixture(scope="module")
def results(lab, bin_dir, server, tmp_path_factory):
    """Three files: twice the same link, then one that is 10 % slower."""
    folder = tmp_path_factory.mktemp("results")
    for name, mbit in (("first", 100), ("again", 100), ("slower", 90)):
        lab.shape(1, f"{mbit / pace.scale():.3f}mbit", bucket_ms=20)  # what this machine's pace is does not show
        done = lab.run(1, [bin_dir / "netsense-bench", RUN[0], server, *RUN[1:]])
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.json").write_text(done.stdout)
    return folder


def compare(bin_dir, results, a, b, *flags):
    return subprocess.run(
        [bin_dir / "netsense-bench", "compare", results / f"{a}.json", results / f"{b}.json", *flags],
        capture_output=True,
        text=True,
        timeout=pace.hangs_after(),
    )


@pytest.mark.timing
def test_two_runs_of_the_same_are_the_same(bin_dir, results):
    done = compare(bin_dir, results, "first", "again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "same" in done.stdout


@pytest.mark.timing
def test_ten_percent_slower_is_found(bin_dir, results):
    done = compare(bin_dir, results, "first", "slower", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    (row,) = [row for row in json.loads(done.stdout)["rows"] if row["metric"].startswith("bw")]
    assert row["verdict"] == "slower"
    assert compare(bin_dir, results, "slower", "first").returncode == 0  # faster is no fault


def test_a_report_is_made_of_them(bin_dir, results, tmp_path):
    page = tmp_path / "report.html"
    files = [results / f"{name}.json" for name in ("first", "slower")]
    done = subprocess.run([bin_dir / "netsense-bench", "report", *files, "-o", page], capture_output=True, text=True, timeout=pace.hangs_after())
    assert done.returncode == 0, done.stderr
    assert "<html" in page.read_text()
