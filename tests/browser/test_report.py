"""`netsense-bench report` as a person sees it: in a real browser, from file://, with no network.

NETSENSE_BIN is the folder with the programs; NETSENSE_SCREENSHOTS a folder that keeps the pictures.
"""

import json
import math
import os
import re
import subprocess
from pathlib import Path

import documents
import pace
import pytest
from browser import Browser, missing
from conftest import skip_or_fail

BENCH = Path(os.environ["NETSENSE_BIN"]) / "netsense-bench"
FIRST_PAINT_LIMIT_S = 4  # of 256 nodes
ARROW_RIGHT, ARROW_DOWN = "\ue014", "\ue015"


@pytest.fixture(scope="module")
def browser():
    if why := missing():
        skip_or_fail(f"no browser: {why}")
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if kept := os.environ.get("NETSENSE_SCREENSHOTS"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        return Path(kept)
    return tmp_path_factory.mktemp("report")


def report(*arguments, code=0):
    done = subprocess.run([BENCH, "report", *map(str, arguments)], capture_output=True, text=True, timeout=pace.hangs_after())
    assert done.returncode == code, done
    return done


@pytest.fixture
def show(browser, folder, tmp_path):
    """Makes the report of documents and opens it; afterwards nothing may have gone wrong in the page."""

    def open_report(name, *results):
        files = []
        for i, result in enumerate(results):
            files.append(tmp_path / f"{name}-{i}.json")
            files[-1].write_text(json.dumps(result))
        page = folder / f"{name}.html"
        report(*files, "-o", page)
        browser.open(page)
        browser.screenshot(folder / f"{name}.png")
        return page

    yield open_report
    assert [entry for entry in browser.log() if entry["level"] in ("SEVERE", "WARNING")] == []
    # Hostile names stayed text.
    assert browser.script("return document.title").startswith("netsense report")
    assert browser.script("return document.querySelectorAll('img, main script, iframe').length") == 0


def text(browser, css="main"):
    return browser.script("return document.querySelector(arguments[0]).innerText", css)


class Map:
    """The n-th heat map of the page."""

    def __init__(self, browser, number):
        self.browser = browser
        browser.script("document.querySelectorAll('.map')[arguments[0]].scrollIntoView()", number)
        browser.wait_for(f"document.querySelectorAll('.board canvas')[{number}].dataset.drawn")
        self.canvas = browser.script("return document.querySelectorAll('.board canvas')[arguments[0]]", number)
        drawn = browser.script("return arguments[0].dataset.drawn", self.canvas)
        self.left, self.top, self.cell = map(int, drawn.split())
        self.readout = browser.script("return arguments[0].closest('.map').querySelector('.readout')", self.canvas)
        self.title = browser.script("return arguments[0].closest('.map').querySelector('h3').innerText", self.canvas)

    def place(self, row, column):
        return self.left + (column + 0.4) * self.cell, self.top + (row + 0.4) * self.cell

    def told(self):
        return self.browser.script("return arguments[0].textContent", self.readout)

    def hover(self, row, column):
        self.browser.point(self.canvas, *self.place(row, column))
        return self.told()

    def colours(self, cells):
        """Mean colours of the cells' middles."""
        places = [self.place(*cell) for cell in cells]
        return [
            tuple(colour)
            for colour in self.browser.script(
                """const [canvas, places] = arguments, ratio = canvas.width / parseFloat(canvas.style.width);
            const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
            const ink = copy.getContext("2d", {willReadFrequently: true});
            ink.drawImage(canvas, 0, 0);
            return places.map(([x, y]) => [...ink.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data].slice(0, 3));""",
                self.canvas,
                places,
            )
        ]


def luminance(colour):
    return 0.21 * colour[0] + 0.72 * colour[1] + 0.07 * colour[2]


def test_three_nodes(browser, show):
    document = documents.matrix(3, percentiles=True)
    show("matrix-3", document)
    shown = text(browser)
    assert "node 10.0.0.2:18590" in shown and "with a good partner: 30.0 Gb/s" in shown
    assert "link 10.0.0.1:18590" in shown and "3.5 Gb/s" in shown
    assert documents.HOSTILE in shown
    assert "AMD EPYC 9654" in shown and "6.1.0-37-amd64" in shown and "matrix -t tcp" in shown

    by_kind = {(row["kind"], row["source"], row["target"]): row for row in document["results"]}
    names = [node["name"] for node in document["nodes"]]
    for number, kind in enumerate(("ping", "bw")):
        heat = Map(browser, number)
        assert "tcp stream ethernet" in heat.title
        assert ("3 of 3 pairs" if kind == "ping" else "6 of 6 pairs") in heat.told()
        for i in range(3):
            for j in range(3):
                told = heat.hover(i, j)
                if i == j:
                    assert "itself" in told
                    continue
                row = by_kind.get((kind, names[i], names[j])) or by_kind[kind, names[j], names[i]]
                assert ("measured from the other side" in told) == ((kind, names[i], names[j]) not in by_kind)
                wanted = row["bw_gbps"]["avg"] if kind == "bw" else row["network_rtt_us"]["p50"]
                assert f"{wanted:.4g}" in told and names[i] in told and names[j] in told
        good, slow = heat.colours([(0, 2) if kind == "ping" else (2, 0), (0, 1)])
        assert luminance(slow) > luminance(good) + 30


def test_the_keyboard_walks_the_map(browser, show):
    document = documents.matrix(3)
    show("keyboard", document)
    heat = Map(browser, 0)
    names = [node["name"] for node in document["nodes"]]
    browser.keys(heat.canvas, ARROW_RIGHT)
    assert "itself" in heat.told()
    browser.keys(heat.canvas, ARROW_RIGHT, ARROW_RIGHT)
    assert names[0] in heat.told() and names[2] in heat.told()
    browser.keys(heat.canvas, ARROW_DOWN)
    row = next(row for row in document["results"] if row["kind"] == "ping" and {row["source"], row["target"]} == {names[1], names[2]})
    assert f"{row['network_rtt_us']['p50']:.4g}" in heat.told()
    assert browser.script("return getComputedStyle(document.querySelector('.cursor')).display") != "none"


@pytest.mark.timing
def test_256_nodes(browser, show, folder):
    document = documents.matrix(256)
    with pace.Witness() as witness:
        page = show("matrix-256", document)
    paint = browser.script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print(f"256 nodes: {page.stat().st_size / 1e6:.1f} MB, first paint after {paint:.0f} ms")
    (folder / "matrix-256.txt").write_text(f"{page.stat().st_size} bytes, first paint after {paint:.0f} ms\n")
    pace.judge("the first paint of 256 nodes", paint / 1000, FIRST_PAINT_LIMIT_S, witness.stood_still)
    assert page.stat().st_size < 15e6

    shown = text(browser)
    assert "node 10.0.0.2:18590" in shown and "link 10.0.0.1:18590" in shown
    assert "connection timed out" in shown and "DEADLINE_EXCEEDED" in shown
    assert browser.script("return document.querySelectorAll('.map').length") == 2
    assert "Not measured" not in shown
    rtt, rate = Map(browser, 0), Map(browser, 1)
    for heat in (rtt, rate):
        quick = heat.colours([(100, column) for column in range(3, 250, 7)])
        slow = heat.colours([(1, column) for column in range(3, 250, 7)]) + heat.colours([(row, 1) for row in range(3, 250, 7)])
        assert min(map(luminance, slow)) > max(map(luminance, quick)) + 20
        # The dead node's cells are grey, of no colour of the scale.
        for colour in heat.colours([(255, column) for column in range(3, 250, 7)]):
            assert max(colour) - min(colour) < 40
        assert "is dead: connection timed out" in heat.hover(255, 7)
    assert rate.colours([(0, 254)])[0] == (253, 231, 37)  # the slow link is the worst of all
    slow_link = next(row for row in document["results"] if row["kind"] == "bw" and row["bw_gbps"]["avg"] < 10)
    assert f"{slow_link['bw_gbps']['avg']:.4g} Gb/s" in rate.hover(0, 254) and documents.HOSTILE in rate.told()
    assert "failed: DEADLINE_EXCEEDED" in rate.hover(254, 253) and "failed: DEADLINE_EXCEEDED" in rtt.hover(254, 252)
    assert "failed: DEADLINE_EXCEEDED" in rtt.hover(252, 254) and "measured from the other side" in rtt.told()
    browser.screenshot(folder / "matrix-256-hover.png", whole=False)
    row = next(
        row for row in document["results"] if row["kind"] == "ping" and row["source"] == "10.0.0.101:18590" and row["target"] == "10.0.0.202:18590"
    )
    assert f"{row['network_rtt_us']['p50']:.4g}" in rtt.hover(100, 201)
    assert f"{row['network_rtt_us']['p50']:.4g}" in rtt.hover(201, 100) and "measured from the other side" in rtt.told()


def titles(browser):
    return browser.script("return [...document.querySelectorAll('.map h3')].map((title) => title.textContent)")


def test_maps_by_fabric_and_rail(browser, show):
    ports = [
        {"name": f"mlx5_{i}:1", "netdev": f"ens{i}", "fabric": "roce", "rail": i, "speed_gbps": 400.0, "rdma_device": f"mlx5_{i}"} for i in (0, 1)
    ]
    nodes = [{"name": name, "alive": True, "reason": "", "ports": ports} for name in ("a", "b", "c")]
    good = [
        documents.bw(source, target, 300.0, transport="verbs", mode="write", device=f"mlx5_{rail}:1 gid 3", message_bytes=None)
        for rail in (0, 1)
        for source, target in (("a", "b"), ("b", "a"), ("a", "c"))
    ]
    # A failure may be one of either rail; one of which nothing succeeded has a map of its own.
    failed = [
        documents.failure({**good[0], "source": "c", "target": "b"}),
        documents.failure({**good[0], "source": "c", "target": "b", "transport": "ucx"}),
    ]
    show("rails", {**documents.head("matrix", nodes=nodes, plan={}, suspects=[], judged=True), "results": good + failed})
    assert titles(browser) == [
        "Bandwidth over ucx to_peer",
        "Bandwidth over verbs write roce rail 0 to_peer",
        "Bandwidth over verbs write roce rail 1 to_peer",
    ]
    for number in range(3):
        assert "failed: DEADLINE_EXCEEDED" in Map(browser, number).hover(2, 1)
    assert "None: no pair stands out" in text(browser)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"judged": False, "not_judged_reason": "fewer than 4 nodes answer"}, "fewer than 4 nodes answer"),
        ({"interrupted": True}, "the run was interrupted"),
        ({"suspects": None}, "the run did not come to its end"),
    ],
)
def test_what_nobody_judged_is_not_shown_as_good(browser, show, told, why):
    show("not-judged", {**documents.matrix(3), "suspects": [], **told})
    shown = text(browser)
    assert f"Not judged: {why}." in shown and "not judged" in text(browser, ".facts")
    assert "None:" not in shown and "0suspects" not in re.sub(r"\s", "", text(browser, ".facts"))


def test_rows_can_be_searched(browser, show):
    show("rows", documents.matrix(40))
    everything = text(browser, ".tools .quiet")
    assert everything.startswith("2,223 of 2,223 rows, page 1 of 23")
    search = browser.find(".tools input")
    browser.keys(search, "bw 10.0.0.39 failed")
    assert text(browser, ".tools .quiet").startswith("1 of 2,223 rows")
    assert "DEADLINE_EXCEEDED" in text(browser, "table.rows")


class Chart:
    """The n-th chart of the page, with the pointer at a share of its width."""

    def __init__(self, browser, number, share):
        self.title = browser.script("return document.querySelectorAll('.chart figcaption')[arguments[0]].innerText", number)
        over = browser.script("return document.querySelectorAll('.chart .u-over')[arguments[0]]", number)
        width, height = browser.script("const b = arguments[0].getBoundingClientRect(); return [b.width, b.height]", over)
        browser.point(over, max(1, min(width - 2, share * width)), height / 2)
        browser.wait_for(f"!/^[-–]*$/.test(document.querySelectorAll('.chart')[{number}].querySelector('.u-value').innerText)")
        told = browser.script(
            """return [...document.querySelectorAll('.chart')[arguments[0]].querySelectorAll('.u-series')].map((line) =>
            ['.u-label', '.u-value'].map((part) => line.querySelector(part).innerText))""",
            number,
        )
        self.x, self.lines = told[0][1], dict(told[1:])
        # Where the pointer's figures lie, from above.
        self.heights = browser.script(
            """return [...document.querySelectorAll('.chart')[arguments[0]].querySelectorAll('.u-cursor-pt')].map((point) => {
            const b = point.getBoundingClientRect(); return b.top + b.height / 2; })""",
            number,
        )
        self.colours = browser.script(
            """const canvas = document.querySelectorAll('.chart canvas')[arguments[0]], found = {};
            const copy = Object.assign(document.createElement("canvas"), {width: canvas.width, height: canvas.height});
            const ink = copy.getContext("2d", {willReadFrequently: true});
            ink.drawImage(canvas, 0, 0);
            const {data} = ink.getImageData(0, 0, canvas.width, canvas.height);
            for (let at = 0; at < data.length; at += 4) {
                if (data[at + 3] !== 255) continue;
                const name = '#' + [0, 1, 2].map((c) => data[at + c].toString(16).padStart(2, '0')).join('');
                found[name] = (found[name] ?? 0) + 1;
            }
            return Object.keys(found).filter((name) => found[name] > 50);""",
            number,
        )


def charts(browser, share=1):
    browser.wait_for("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('.u-legend'))")
    return [Chart(browser, number, share) for number in range(browser.script("return document.querySelectorAll('.chart').length"))]


def is_logarithmic(chart, names):
    """Whether the figures of three lines lie where their logarithms do."""
    places = {math.log(float(chart.lines[name])): chart.heights[list(chart.lines).index(name)] for name in names}
    low, middle, high = sorted(places)
    return (places[middle] - places[low]) / (places[high] - places[low]) == pytest.approx((middle - low) / (high - low), abs=0.02)


def test_sweep(browser, show):
    show("sweep", documents.sweep())
    drawn = charts(browser)
    assert [chart.title for chart in drawn] == ["Median round-trip time by payload size", "Bandwidth by message size"]
    assert [chart.x for chart in drawn] == ["64 KiB", "8 MiB"]
    for chart in drawn:
        assert list(chart.lines) == ["tcp", "grpc", "ucx"]
        assert {"#0072b2", "#d55e00", "#009e73"} <= set(chart.colours)
    # The median of three repeats of the largest message.
    assert float(drawn[1].lines["tcp"]) == pytest.approx(40 * 2**23 / (2**23 + 20000), rel=1e-3)
    assert is_logarithmic(drawn[0], ["tcp", "grpc", "ucx"]) and not is_logarithmic(drawn[1], ["tcp", "grpc", "ucx"])


def test_loaded(browser, show):
    show("loaded", documents.loaded())
    shown = text(browser)
    assert "Idle and under load" in shown and "priority p50" in shown
    assert "added = loaded - idle" in shown and "200,000" in shown
    cells = browser.script(
        "return [...document.querySelectorAll('table tbody tr')].slice(1, 3).map((row) => [...row.cells].map((cell) => cell.innerText))"
    )
    assert cells[0][0] == "tcp" and cells[0][1] == "20" and cells[0][3] == "300" and cells[0][5] == "15" and cells[0][6] == "26"
    bars, curves = charts(browser)
    assert (bars.title, curves.title) == ("Round-trip time, idle and under load", "Round-trip time by percentile")
    assert bars.x == "verbs" and (bars.lines["idle p50"], bars.lines["loaded p50"], bars.lines["loaded-priority p50"]) == ("5", "75", "6.5")
    assert {"#0072b2", "#d55e00", "#009e73"} <= set(bars.colours)
    assert charts(browser, share=0)[0].x == "tcp" and curves.x == "p100"


def test_ping(browser, show):
    show("ping", documents.pings())
    drawn = charts(browser)
    assert [chart.title for chart in drawn] == ["Round-trip time by percentile"]
    assert list(drawn[0].lines)[:2] == ["tcp run 1", "tcp run 2"]
    assert is_logarithmic(drawn[0], ["tcp run 1", "grpc run 1", "ucx run 1"])
    shown = text(browser)
    assert documents.HOSTILE in shown and "NOT PASSED" in shown and "DEADLINE_EXCEEDED" in shown


def test_several_results_in_one_page(browser, show):
    show("several", documents.pings(), documents.loaded(), documents.matrix(8))
    assert browser.script("return [...document.querySelectorAll('article h1')].map((title) => title.innerText.split(' ')[0])") == [
        "ping",
        "loaded",
        "matrix",
    ]
    assert len(browser.script("return [...document.querySelectorAll('nav a')].map((link) => link.hash)")) == 3


def test_odd_documents_are_shown_as_far_as_they_go(browser, show):
    odd = {
        "schema_version": 1,
        "nodes": [{}, {"name": 7}, None, "x"],
        "suspects": [{}],
        "checks": [{}],
        "arguments": 3,
        "results": [
            {"kind": "ping"},
            {"kind": "bw", "bw_gbps": {"avg": "fast"}},
            {"kind": "dance", "rail": "a"},
            {"kind": "ping", "load": "idle", "rtt_us": {"p50": 0, "percentiles": [[0, 0], [50, 0], "x"]}},
        ],
    }
    show("odd", odd, {"schema_version": 1, "results": []})
    assert "4 of 4 rows" in text(browser, ".tools .quiet")


def test_the_page_lets_nothing_in_or_out(show):
    page = show("policy", documents.pings()).read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page).group(1)
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert "The MIT License" in page and "Leon Sorokin" in page
    assert "<script>document" not in page and "<img" not in page
    assert not re.findall(r'(?:src|href)="', page)


def test_what_cannot_be_reported(tmp_path):
    bad = tmp_path / "bad.json"
    bad.write_text('{"schema_version": 1, "results": [{]}')
    page = tmp_path / "page.html"
    page.write_text("before")
    assert str(bad) in report(bad, "-o", page, code=2).stderr
    assert "no such file" in report(tmp_path / "none.json", "-o", page, code=2).stderr
    good = tmp_path / "good.json"
    good.write_text(json.dumps(documents.pings()))
    assert "cannot write" in report(good, "-o", tmp_path / "none" / "page.html", code=2).stderr
    assert page.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.json", "good.json", "page.html"]


def test_a_terminal_is_told_what_is_read(tmp_path):
    source = tmp_path / "run.json"
    source.write_text(json.dumps(documents.pings()))
    ours, its = os.openpty()
    subprocess.run(
        [BENCH, "report", source, "-o", tmp_path / "page.html"], stdout=subprocess.DEVNULL, stderr=its, check=True, timeout=pace.hangs_after()
    )
    os.close(its)
    with os.fdopen(ours, "rb") as terminal:
        assert f"reading {source} ...".encode() in terminal.read1()
    assert "reading" not in report(source, "-o", tmp_path / "page.html").stderr


def test_json_lines_of_a_run_that_was_killed(browser, folder, tmp_path):
    lines = [json.dumps({**documents.head("ping"), "checks": []}), *map(json.dumps, documents.pings()["results"][:2])]
    source, page = tmp_path / "run.jsonl", folder / "killed.html"
    source.write_text("\n".join(lines) + '\n{"kind":"pi')
    report(source, "-o", page)
    browser.open(page)
    assert "cut off" in text(browser) and "2 of 2 rows" in text(browser, ".tools .quiet")
