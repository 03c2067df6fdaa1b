"""What comes from elsewhere (result files, the answers of a server, names) ends no program with a signal, and is refused in words or shown.

NETSENSE_BIN is the folder with the three programs.
"""

import http.server
import json
import os
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pace
import pytest
from cluster import EmbeddedCluster
from netlab import NetLab

BENCH = Path(os.environ["NETSENSE_BIN"]) / "netsense-bench"
BRIDGE = Path(os.environ["NETSENSE_BIN"]) / "netsense-bridge"
DEEP = "[" * 100_000 + "]" * 100_000
HEAD = '{"schema_version":1,"command":"matrix"}\n'
# name -> what stands in the file, and what must be said
BAD_RESULTS = {
    "overflow.json": ('{"schema_version":1,"command":"ping",\n"results":[\n{"kind":"ping","v":1e999}]}', "line 3"),
    "overflow.jsonl": (HEAD + '{"kind":"ping"}\n{"kind":"ping","v":1e999}\n{"kind":"ping"}\n', "line 3"),
    "overflow-last.jsonl": (HEAD + '{"kind":"ping","v":1e999}', "line 2"),  # unfinished, but not cut off
    "deep-head.jsonl": ('{"schema_version":1,"command":"matrix","x":%s}\n{"kind":"ping"}\n' % DEEP, "nested too deeply"),
    "deep-row.jsonl": (HEAD + '{"kind":"ping","x":%s}\n' % DEEP, "nested too deeply"),
    "deep.json": ('{"schema_version":1,"command":"ping","results":[%s]}' % DEEP, "nested too deeply"),
    "only-deep.json": (DEEP, "nested too deeply"),
}


def run(*arguments, **options):
    return subprocess.run(
        [str(argument) if isinstance(argument, Path) else argument for argument in arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=pace.hangs_after(),
        **options,
    )


@contextmanager
def serving(address, prefix=()):
    server = subprocess.Popen([*prefix, BENCH, "serve", "--listen", f"{address}:0", "--insecure", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        yield f"{address}:{json.loads(server.stdout.readline())['port']}"
    finally:
        server.terminate()
        server.wait(timeout=pace.hangs_after())


@pytest.fixture(scope="module")
def doors():
    with serving("127.0.0.1") as a, serving("127.0.0.2") as b:
        yield a, b


@pytest.mark.parametrize("name", BAD_RESULTS)
def test_a_bad_result_is_refused_with_its_place(name, doors, tmp_path):
    content, reason = BAD_RESULTS[name]
    file = tmp_path / name
    file.write_text(content)
    for command in (["report", file, "-o", tmp_path / "report.html"], ["compare", file, file], ["matrix", *doors, "--insecure", "--resume", file]):
        done = run(BENCH, *command)
        assert done.returncode == 2, (command, done)
        assert name in done.stderr and reason in done.stderr, (command, done.stderr)


@contextmanager
def a_head_that_answers(body):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()  # no length: until the connection closes
            try:
                for piece in body():
                    self.wfile.write(piece)
            except OSError:
                pass

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def endless():
    while True:
        yield b"[1]," * (1 << 16)


@pytest.mark.parametrize(
    "body, reason",
    [
        (lambda: [f'{{"data":{DEEP}}}'.encode()], "nested too deeply"),
        (lambda: [b'{"data":{"result":{"nodes":[{"door":{"address":"a","port":1e999}}]}}}'], "no network topology"),
        (lambda: [b'{"data":{"result":{"nodes":[{"address":7,"door":{"port":18590}}]}}}'], "no network topology"),
        (lambda: [b"\xff\xfe{"], "no network topology"),
        (endless, "more than a list of nodes has"),
    ],
    ids=["deep", "overflow", "types", "bytes", "endless"],
)
def test_a_bad_list_of_nodes_is_refused(body, reason):
    with a_head_that_answers(body) as url:
        done = run(BENCH, "matrix", "--cluster", url, "--insecure")
    assert done.returncode in (2, 3), done
    assert reason in done.stderr, done.stderr


def test_a_list_of_nodes_is_read_up_to_a_bound(tmp_path):
    """Also where it has no end, as a pipe or a device may have none."""
    hosts = tmp_path / "hosts"
    hosts.write_text("#" * ((4 << 20) + 1))
    done = run(BENCH, "matrix", "--hosts", hosts, "--insecure")
    assert done.returncode == 2 and "longer than a list of nodes" in done.stderr, done


def test_settings_nested_without_end_are_refused(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text('{"network_sense_tick_ms":%s}' % DEEP)
    done = run(BRIDGE, "run", "--standalone", "--head", "--settings", file)
    assert done.returncode == 2 and "nested too deeply" in done.stderr, done


@pytest.mark.parametrize(
    "flags",
    [["ping", "-n", "0"], ["ping", "-n", "x"], ["ping", "-D", "nan"], ["ping", "--interval", "inf"], ["ping", "--interval", "-1"], ["bw", "-n", "0"],
     ["bw", "--min-bw", "0"], ["bw", "--warmup", "nan"], ["ping", "--max-rtt", "nan"], ["sweep", "-n", "-3"], ["loaded", "-D", "1e9"]],
    ids=" ".join,
)  # fmt: skip
def test_a_number_out_of_range_is_refused_in_plain_words(flags):
    done = run(BENCH, flags[0], "127.0.0.1:1", *flags[1:])
    assert done.returncode == 2, done
    said = (done.stdout + done.stderr).splitlines()[0]
    assert "is no number" in said and len(said) < 100, said


def test_a_device_that_is_no_text_is_refused():
    done = run(BENCH, b"ping", b"127.0.0.1:1", b"--peer-device", b"mlx5_\xe9")
    assert done.returncode == 2 and "no UTF-8" in done.stdout + done.stderr, done


def test_an_iteration_larger_than_a_message_says_what_was_sent(doors):
    door = doors[0]
    asked, largest = 8_388_609, 8_388_608
    done = run(BENCH, "bw", door, "-s", str(asked), "-n", "3")
    assert done.returncode == 0, done
    assert f"iterations of {asked} bytes were asked for: sent in messages of {largest}" in done.stdout
    row = json.loads(run(BENCH, "bw", door, "-s", str(asked), "-n", "3", "--json").stdout)["results"][0]
    assert (row["iteration_bytes"], row["message_bytes"], row["bytes"]) == (asked, largest, 3 * asked)
    row = json.loads(run(BENCH, "bw", door, "-s", str(largest), "-n", "3", "--json").stdout)["results"][0]
    assert (row["iteration_bytes"], row["message_bytes"]) == (None, largest)


def test_a_host_whose_name_is_no_utf8_is_measured():
    """A message with such a name in it would be refused as a whole by whoever reads it."""
    named = ["unshare", "--uts", "sh", "-c", 'printf "caf\\351-07" > /proc/sys/kernel/hostname && exec "$@"', "sh"]
    with serving("127.0.0.1", named) as a, serving("127.0.0.2") as b:
        done = run(BENCH, "matrix", a, b, "--insecure", "--no-bw", "--json")
    nodes = {node["name"]: node for node in json.loads(done.stdout)["nodes"]}
    assert nodes[a]["alive"] and nodes[a]["hostname"] == "caf\ufffd-07", done


class OddlyNamed(EmbeddedCluster):
    def identity_flags(self, i):
        return [*super().identity_flags(i), "--node-name", f"caf\udce9-0{i}"]  # the byte 0xe9


def test_nodes_whose_names_are_no_utf8_join(namespaces, bin_dir, directory):
    with NetLab(2) as lab, OddlyNamed(lab, bin_dir, directory) as cluster:
        cluster.wait_all_ok()
        assert {node["hostname"] for node in cluster.status()["nodes"]} == {"caf\ufffd-01", "caf\ufffd-02"}
        assert "is no UTF-8" in cluster.log(2)
