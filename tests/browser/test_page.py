"""The bridge's page as a person sees it: over a made-up cluster of any size (page_server), and over a real one with a slow link.

NETSENSE_BIN is the folder with the programs; NETSENSE_SCREENSHOTS a folder that keeps the pictures.
"""

import http.server
import math
import os
import subprocess
import threading
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path

import matrix_document
import pace
import pytest
from browser import Browser, missing
from cluster import HTTP_PORT, EmbeddedCluster, wait_until
from conftest import skip_or_fail
from netlab import NetLab
from page import HAS_MAP, WATCH_TASKS, Page, luminance
from relay import Relay

BIN = Path(os.environ["NETSENSE_BIN"])
TOKEN = "a-secret-of-the-test"
FIRST_PAINT_LIMIT_S, TASK_LIMIT_S = 2, 0.2  # of 512 nodes
ENTER, ESCAPE, ARROW_RIGHT, ARROW_DOWN = "\ue007", "\ue00c", "\ue014", "\ue015"
SLOW_LINK_SETTINGS = {"bw_enabled": "true", "bw_slot_ms": "200"}


@pytest.fixture(scope="module")
def browser():
    if why := missing():
        skip_or_fail(f"no browser: {why}")
    with Browser() as opened:
        opened.resize(1280, 800)
        opened.devtools("Page.addScriptToEvaluateOnNewDocument", source=WATCH_TASKS)
        yield opened


@pytest.fixture(autouse=True)
def nothing_goes_wrong_in_the_page(browser, expected):
    browser.log()
    yield
    wrong = [entry["message"] for entry in browser.log() if entry["level"] in ("SEVERE", "WARNING")]
    assert [message for message in wrong if not any(part in message for part in expected)] == []


@pytest.fixture
def expected():
    """What a test wants to see in the browser's console: it appends to this."""
    return []


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    folder = Path(os.environ.get("NETSENSE_SCREENSHOTS") or tmp_path_factory.mktemp("page"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def serving(browser, nodes, *flags):
    """The page over a made-up cluster; `page.server` is the process."""
    command = [BIN / "page_server", "--nodes", str(nodes), "--token", TOKEN, *flags]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        page = Page(browser, f"http://127.0.0.1:{int(server.stdout.readline())}/", server)
        try:
            yield page
        finally:
            page.leave()
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


@contextmanager
def dark(browser):
    browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    try:
        yield
    finally:
        browser.devtools("Emulation.setEmulatedMedia", features=[])


def test_the_token_is_asked_for(browser, expected, shots):
    expected += ["401", "403"]
    with serving(browser, 3) as page:
        page.open()
        browser.wait_for("document.activeElement?.id === 'token'")
        assert "--token-file" in page.text() and "~/.ray/auth_token" in page.text()
        browser.screenshot(shots / "page-token.png", whole=False)
        browser.keys(browser.find("#token"), "wrong", ENTER)
        page.wait_text("main", "That is not the cluster's token")
        browser.keys(browser.find("#token"), TOKEN, ENTER)
        browser.wait_for(HAS_MAP)
        assert TOKEN not in browser.script("return location.href + document.cookie + JSON.stringify(localStorage)")
        browser.open_url(page.url)  # the tab still knows it
        browser.wait_for(HAS_MAP)


@pytest.mark.timing
def test_512_nodes(browser, shots):
    with serving(browser, 512) as page, pace.Witness() as witness:
        page.open(token=TOKEN)
        stood_still = witness.stood_still
        first = browser.script(
            "return [performance.getEntriesByName('first-contentful-paint')[0].startTime, performance.getEntriesByName('netsense-first-map')[0].startTime]"
        )
        page.wait_updates(3)
        tasks = page.long_tasks()
        heap = page.heap_mb()
        browser.script("document.getElementById('metric-bandwidth').click()")
        for _ in range(4):
            page.wait_updates(5)
            tasks += page.long_tasks()
        grown = page.heap_mb() - heap
        loading = max((took for begun, took in tasks if begun < first[1]), default=0)
        # One that the machine interrupted says nothing of the page: what each update takes is in most of them.
        longest, _, third = ([*sorted((took for begun, took in tasks if begun >= first[1]), reverse=True), 0, 0, 0])[:3]
        line = (
            f"512 nodes: first content after {first[0]:.0f} ms, the map after {first[1]:.0f} ms; longest task {loading:.0f} ms until then and "
            f"{longest:.0f} ms in 23 updates, the third longest {third:.0f} ms (0: none over 50 ms); memory {heap:.1f} MB, {grown:+.1f} MB after 20 updates"
        )
        print(line)
        (shots / "page-512.txt").write_text(line + "\n")
        browser.screenshot(shots / "page-512.png", whole=False)
        pace.judge(f"the first map ({line})", first[1] / 1000, FIRST_PAINT_LIMIT_S, stood_still)
        pace.judge(f"the third longest task ({line})", third / 1000, TASK_LIMIT_S)
        assert grown < 4, line

        # The list is the document's, by a reader of its own.
        page.choose("rtt")
        matrix = matrix_document.fetch(page.url, TOKEN)
        slowest = max((edge for edge in matrix.edges("rtt_p50_ms") if edge[2] == "OK"), key=lambda edge: edge[4])
        worst = page.worst()
        assert len(worst) == 50
        at_fault = [row for row in worst if row[1] in matrix.header["states"]]
        assert 0 < len(at_fault) <= 25 and worst[: len(at_fault)] == at_fault
        assert {row[1] for row in at_fault} == {edge[2] for edge in matrix.edges("rtt_p50_ms")} - {"OK", "ISOLATED"}
        figures = [float(row[1].split()[0]) for row in worst if row[1].endswith("µs")]
        assert figures == sorted(figures, reverse=True) and figures[0] > 0.8 * 1000 * slowest[4]
        counted = page.text(".facts").replace(",", "")
        ok = sum(edge[2] == "OK" for edge in matrix.edges("rtt_p50_ms"))
        shown_ok, shown_all = (int(word) for word in counted.split("edges OK")[0].split("reachable")[1].split(" of "))
        assert shown_all == 512 * 511 and abs(shown_ok - ok) < 0.01 * ok

        # Every cell can be seen closer, by wheel and by keys.
        browser.keys(page.canvas, ARROW_RIGHT, ARROW_RIGHT, "+", "+", "+", "+", "+", "+")
        browser.wait_for("parseFloat(document.querySelector('.stage canvas').dataset.drawn.split(' ')[2]) >= 48")
        browser.screenshot(shots / "page-512-zoomed.png", whole=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_64_nodes(browser, shots, scheme):
    with serving(browser, 64, "--rails", "2") as page, dark(browser) if scheme == "dark" else nullcontext():
        page.open(token=TOKEN)
        browser.screenshot(shots / f"page-64-{scheme}.png", whole=False)
        names = [node["hostname"] for node in matrix_document.fetch(page.url, TOKEN).nodes]
        slow, quick = page.colours([(0, 1), (0, 2)])
        assert luminance(slow) > luminance(quick) + 30
        # The dead node's column: no colour of the scale, and a pattern.
        dead = [colour for inset in (0.1, 0.3, 0.5, 0.7) for colour in page.colours([(row, 7) for row in range(10, 40)], inset)]
        assert len(set(dead)) > 3 and all(red > green + 40 for red, green, _ in dead if red + green < 400)
        # A node that is gone has no row, and is told of.
        assert "1 LOST" in page.text(".facts") and "10.0.9.9 (gpu-gone) LOST for" in page.text(".lost") and "no heartbeat" in page.text(".lost")
        # A cause is a filter, kept in the address.
        for cause, state in (("no report from this node", "UNKNOWN"), ("report is … ms old", "STALE")):
            page.press_cause(cause)
            assert {row[1] for row in page.worst()} == {state} and f"state={state}" in browser.script("return location.hash")
            assert {row[0].split(" → ")[0] for row in page.worst()} == {names[5 if state == "UNKNOWN" else 6]}
            page.press_cause(cause)
        assert any("UNREACHABLE" in row for row in page.worst())
        # Layers are by transport, fabric and rail; nodes by name or by worst.
        layers = browser.script("return [...document.querySelector('.controls select').options].map((option) => option.text)")
        assert "tcp · ethernet" in layers[0] and any("verbs" in layer and "rail 1" in layer for layer in layers)
        page.open("#layer=verbs/infiniband/1&metric=bandwidth&sort=worst")
        browser.wait_for(HAS_MAP)
        assert browser.script("return document.querySelector('.controls select').value") == "verbs/infiniband/1"
        browser.script("location.hash = '#layer=verbs/infiniband/0'")
        browser.wait_for("document.querySelector('.controls select').value === 'verbs/infiniband/0'")
        # What the map says of a pair, its panel says too: the isolated path between rails is another one.
        ids = [node["node_id"] for node in matrix_document.fetch(page.url, TOKEN).nodes]
        page.open(f"#layer=tcp/ethernet/&open=edge&src={ids[0]}&dst={ids[2]}")
        page.wait_text(".panel", "counters")
        state = browser.script(
            "return [...document.querySelectorAll('.panel tbody tr')].find((row) => row.cells[0].innerText === 'state').cells[1].innerText"
        )
        assert state == "OK" and "tcp · ethernet · between rails ISOLATED" in page.text(".panel")
        # A cell of the diagonal is no edge, and opens its node.
        page.open(f"#open=edge&src={ids[9]}&dst={ids[9]}")
        page.wait_text(".panel", "a node itself")
        browser.click(page.canvas, *page.place(9, 9))
        page.wait_text(".panel dl", ids[9])
        page.open(f"#open=node&node={ids[9]}")
        page.wait_text(".panel", "What could not be known")
        drawn = browser.script("return [...document.querySelectorAll('svg.inventory .card')].map((card) => card.textContent)")
        assert sum("GPU" in card and "nearest mlx5_" in card for card in drawn) == 8
        assert any("rail 1" in card and "100 Gb/s" in card for card in drawn) and "this machine is made up" in page.text(".panel")
        browser.screenshot(shots / f"page-node-{scheme}.png", whole=False)


def test_hostile_names_are_text(browser, shots):
    with serving(browser, 12, "--hostile") as page:
        page.open(token=TOKEN)
        browser.screenshot(shots / "page-hostile.png", whole=False)
        markup = "<img src=x onerror=alert(1)>"
        assert (
            markup in page.text(".worst") and markup in page.text(".reasons") and markup in page.text(".lost") and "\u202e" not in page.text("body")
        )
        nodes = matrix_document.fetch(page.url, TOKEN).nodes
        page.open(f"#open=edge&src={nodes[1]['node_id']}&dst={nodes[2]['node_id']}")
        page.wait_text(".panel", "counters")
        assert markup in page.text(".panel h2") and "</script>" in page.text(".panel h2")
        page.open(f"#open=node&node={nodes[1]['node_id']}")
        page.wait_text(".panel", "What could not be known")
        assert markup in page.text(".panel dl") and markup in page.text(".panel")
        # Hostile addresses do no harm either.
        page.open("#layer=%3Cimg%3E&metric=x&sort=x&open=edge&src=%3Cimg%3E&dst=..%2F&state=%3Cb%3E&reason=%3Cimg%20src%3Dx%3E")
        browser.wait_for(HAS_MAP)


def test_behind_a_proxy_with_a_prefix(browser):
    with serving(browser, 3) as inner:

        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if not self.path.startswith("/some/where/"):  # a browser asks for /favicon.ico unasked
                    self.send_response(204 if self.path == "/favicon.ico" else 404)
                    self.end_headers()
                    return
                headers = {name: value for name, value in self.headers.items() if name in ("Authorization", "Accept")}
                with urllib.request.urlopen(urllib.request.Request(inner.url + self.path.removeprefix("/some/where/"), headers=headers)) as answer:
                    body = answer.read()
                    self.send_response(answer.status)
                    for name in ("Content-Type", "Content-Security-Policy"):
                        if name in answer.headers:
                            self.send_header(name, answer.headers[name])
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
            threading.Thread(target=proxy.serve_forever).start()
            try:
                page = Page(browser, f"http://127.0.0.1:{proxy.server_port}/some/where/")
                page.open(token=TOKEN)
                page.leave()
            finally:
                proxy.shutdown()


def test_nobody_answers(browser, expected, shots):
    expected += ["ERR_CONNECTION_REFUSED"]
    with serving(browser, 3) as page:
        page.open(token=TOKEN)
        page.wait_text(".live", "live: data of")
        # Paused, it asks nothing.
        browser.script("document.querySelector('.controls > button').click()")
        page.wait_text(".live", "paused: showing data of")
        known = page.answers()
        browser.wait_for("document.querySelector('.live').innerText.match(/, ([\\d.]+) s old/)?.[1] >= 4")  # two updates would have come
        assert page.answers() == known
        browser.script("document.querySelector('.controls > button').click()")
        page.wait_updates(1)
        page.server.kill()
        page.wait_text(".live", "no answer for")
        assert "showing data of" in page.text(".live") and "cannot be reached" in page.text(".live")
        assert "old-data" in browser.script("return document.body.className")
        browser.screenshot(shots / "page-no-answer.png", whole=False)


def test_the_bridge_says_that_its_data_are_old(browser, shots):
    with serving(browser, 3, "--tick-ms", "200") as page:
        page.open(token=TOKEN)
        page.wait_text(".live", "live: data of")
        page.server.stdin.write("x")  # the GCS falls silent
        page.server.stdin.flush()
        page.wait_text(".live", "the GCS has not answered for")
        assert "live" not in page.text(".live") and "old-data" in browser.script("return document.body.className")
        assert browser.script("return document.querySelector('.live').dataset.look") == "old"
        browser.screenshot(shots / "page-gcs-silent.png", whole=False)
        page.server.stdin.write("x")
        page.server.stdin.flush()
        page.wait_text(".live", "live: data of")
        assert "old-data" not in browser.script("return document.body.className")


def test_an_open_node_is_shown_as_it_is_now(browser, expected):
    expected += ["ERR_BLOCKED_BY_CLIENT", "network_node"]
    with serving(browser, 3) as page:
        page.open(token=TOKEN)
        node = matrix_document.fetch(page.url, TOKEN).nodes[1]["node_id"]
        browser.devtools("Network.enable")
        browser.devtools("Network.setBlockedURLs", urls=["*network_node*"])
        try:
            page.open(f"#open=node&node={node}", token=TOKEN)
            page.wait_text(".panel", "cannot be reached")
            assert "Its worst edges" in page.text(".panel") and node in page.text(".panel dl"), "the board knows that"
        finally:
            browser.devtools("Network.setBlockedURLs", urls=[])
            browser.devtools("Network.disable")
        page.wait_text(".panel", "What could not be known")
        asked = "return performance.getEntriesByType('resource').filter((one) => one.name.includes('network_node')).length"
        known = browser.script(asked), page.text(".panel ul")
        browser.script("document.querySelector('.panel ul button').focus()")
        page.wait_updates(2)
        browser.wait_for(f"document.querySelector('.panel ul').innerText !== {known[1]!r}")
        assert browser.script(asked) == known[0], "the inventory is asked for once"
        assert browser.script("return document.activeElement.closest('.panel') !== null")


@pytest.fixture(scope="module")
def cluster(namespaces, directory):
    with NetLab(nodes=3) as lab:
        lab.slow_down(2, 3, f"{200 / pace.scale():.1f}mbit")
        with EmbeddedCluster(lab, BIN, directory, settings=SLOW_LINK_SETTINGS) as made:
            made.wait_all_ok(with_bandwidth=True)
            yield made


@pytest.mark.timing
def test_a_real_cluster_with_a_slow_link(browser, expected, shots, cluster):
    lab = cluster.lab
    with Relay(lab, 1, lab.address(1), HTTP_PORT) as relay:
        page = Page(browser, f"http://{relay.address}/")
        page.open("#metric=bandwidth", token=cluster.tokens[1])
        browser.screenshot(shots / "page-3.png", whole=False)
        slow = [(1, 2), (2, 1)]
        others = [(row, column) for row in range(3) for column in range(3) if row != column and (row, column) not in slow]
        # A browser that starts takes the processors from the probes: some cell may have no figure for a moment.
        wait_until(
            "the slow link to be the brightest", lambda: min(map(luminance, page.colours(slow))) > max(map(luminance, page.colours(others))) + 30
        )
        slow_edges = {f"{lab.address(a + 1)} → {lab.address(b + 1)}" for a, b in slow}

        def the_slow_link_is_the_worst():
            worst = page.worst()[:2]
            return {row[0] for row in worst} == slow_edges and all(
                "Mb/s" in row[1] and float(row[1].split()[0]) < 250 / pace.scale() for row in worst
            )

        wait_until("the slow link to be the first in the list", the_slow_link_is_the_worst)

        # By pointer: what it points at, and its panel.
        browser.point(page.canvas, *page.place(1, 2))
        assert f"→ {lab.address(3)}" in page.text(".tip") and "Mb/s" in page.text(".tip") and " old" in page.text(".tip")
        browser.click(page.canvas, *page.place(2, 1))
        page.wait_text(".panel h2", f"{lab.address(3)} → {lab.address(2)}")
        page.wait_text(".panel", "expected at best")
        browser.click(browser.find(".panel-bar button"))
        assert page.text(".panel") == ""

        # By keyboard alone: to the edge, into its panel, and back.
        page.open("#metric=bandwidth")
        browser.wait_for(HAS_MAP)
        browser.keys(page.canvas, ARROW_RIGHT)
        browser.keys(page.canvas, ARROW_DOWN, ARROW_RIGHT, ARROW_RIGHT)
        assert f"{lab.address(2)} (" in page.text("#told") and f"→ {lab.address(3)}" in page.text("#told") and "Mb/s" in page.text("#told")
        assert browser.script("return getComputedStyle(document.querySelector('.stage canvas')).outlineStyle") != "none"
        browser.keys(page.canvas, ENTER)
        page.wait_text(".panel", "expected at best")
        assert browser.script("return document.activeElement.className") == "panel"
        browser.wait_for("document.querySelectorAll('.history .u-wrap canvas').length === 2")
        figures = browser.script("return [...document.querySelectorAll('.figures tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
        cells = {row[0]: row[1:] for row in figures}
        assert cells["state"] == ["OK", "OK"] and cells["from port"] == ["e0", "e0"]
        assert [" of 5" in row[1] or " of 3" in row[1] for row in figures if row[0] == "samples"] == [True, True]
        browser.screenshot(shots / "page-edge.png", whole=False)

        # Live: what the panel and the map say moves on.
        before = page.text(".live"), cells["pings"][0]
        page.wait_updates(2)
        browser.wait_for(
            f"[...document.querySelectorAll('.figures tr')].find((row) => row.cells[0].textContent === 'pings').cells[1].textContent !== {before[1]!r}"
        )
        assert page.text(".live") != before[0]
        browser.keys(browser.find(".panel"), ESCAPE)
        assert page.text(".panel") == "" and browser.script("return document.activeElement.tagName") == "CANVAS"

        page.open(f"#open=node&node={next(node['node_id'] for node in cluster.status()['nodes'] if node['address'] == lab.address(2))}")
        page.wait_text(".panel", "What could not be known")
        drawn = browser.script("return document.querySelector('svg.inventory').textContent")
        assert "e0" in drawn and "NUMA node" in drawn and lab.address(2) in page.text(".panel dl")
        browser.screenshot(shots / "page-node-real.png", whole=False)

        # A node goes: its edges are shown as what they are, with the reason.
        page.open("#metric=rtt")
        browser.wait_for(HAS_MAP)
        cluster.stop_bridge(3, 9)
        for pid in cluster.pids_of(3, "netsense-engine"):
            os.kill(pid, 9)
        wait_until("edges that are not OK", lambda: any(row[1] in ("UNREACHABLE", "STALE") for row in page.worst()))
        browser.screenshot(shots / "page-3-gone.png", whole=False)
        assert lab.address(3) in "".join(page.texts(".cause, .nodes, .worst tbody tr"))
        good, bad = page.colours([(0, 1), (0, 2)], inset=0.06)
        assert good != bad and not math.isclose(luminance(good), luminance(bad), abs_tol=1)

        # And the head's bridge too.
        expected += ["ERR_", "Failed to load resource"]
        cluster.stop_bridge(1)
        wait_until("the page says so", lambda: "no answer for" in page.text(".live"))
        page.leave()
