"""The command-line interface that scripts count on: flags, JSON fields, exit codes. Loopback only.

NETSENSE_BIN is the folder with the three programs.
"""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pace
import pytest
from cluster import wait_until

BIN = Path(os.environ["NETSENSE_BIN"])
PROGRAMS = ["netsense-engine", "netsense-bridge", "netsense-bench"]
DISTRIBUTION = {"min", "p50", "p90", "p99", "p99_9", "max", "mean", "stdev"}


def run(*arguments, **options):
    options.setdefault("timeout", pace.hangs_after())
    command = [str(BIN / arguments[0]), *map(str, arguments[1:])]
    return subprocess.run(command, capture_output=True, text=True, **options)


class Server:
    """`netsense-bench serve` on a free port."""

    def __init__(self, *flags):
        self.process = subprocess.Popen(
            [BIN / "netsense-bench", "serve", "--listen", "127.0.0.1:0", "--json", *flags],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=pace.hangs_after()) == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_explains_itself(program):
    helped = run(program, "--help")
    assert helped.returncode == 0
    assert "Example" in helped.stdout
    version = run(program, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith(program + " ")


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_has_raylet_in_its_name(program):
    # `ray stop` kills every process whose name contains it.
    assert "raylet" not in program
    assert (BIN / program).exists()


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_flag_is_a_usage_error(program):
    wrong = run(program, "--no-such-flag")
    assert wrong.returncode == 2
    assert wrong.stderr.strip()


def test_list_transports():
    listed = run("netsense-engine", "--list-transports", "--json")
    assert listed.returncode == 0
    document = json.loads(listed.stdout)
    assert document["schema_version"] == 1
    transports = {each["name"]: each for each in document["transports"]}
    assert transports["tcp"]["available"] is True
    assert transports["tcp"]["reason"] == ""
    assert "tcp: available" in run("netsense-engine", "--list-transports").stdout


@pytest.mark.timing
def test_ping_document():
    with Server("--insecure") as server:
        pinged = run("netsense-bench", "ping", server.address, "--insecure", "-t", "tcp", "-n", 500, "--json")
    assert pinged.returncode == 0, pinged.stderr
    document = json.loads(pinged.stdout)
    assert document["schema_version"] == 1
    (result,) = document["results"]
    assert result["transport"] == "tcp"
    assert result["samples"] == 500
    assert result["lost"] == 0
    assert set(result["rtt_us"]) >= DISTRIBUTION
    assert set(result["network_rtt_us"]) >= DISTRIBUTION
    rtt = result["rtt_us"]
    assert 0 < rtt["min"] <= rtt["p50"] <= rtt["p90"] <= rtt["p99"] <= rtt["p99_9"] <= rtt["max"] < 1e6 * pace.scale()
    assert result["network_rtt_us"]["p50"] <= rtt["p50"]


@pytest.mark.timing
def test_ping_by_duration_takes_so_long():
    with Server() as server, pace.within(2, "a ping of half a second"):
        pinged = run("netsense-bench", "ping", server.address, "-D", 0.5, "--json")
    (result,) = json.loads(pinged.stdout)["results"]
    assert result["elapsed_s"] >= 0.5
    assert result["samples"] > 100 / pace.scale()
    # The samples fill the time: whoever reports half round trips cannot do this.
    assert 0.3 < result["samples"] * result["rtt_us"]["mean"] / 1e6 / result["elapsed_s"] <= 1.0


def test_the_two_wait_modes_are_not_mixed_up():
    with Server() as server:
        for flag, name in (("--blocking", "blocking"), ("--busy-poll", "busy-poll")):
            pinged = run("netsense-bench", "ping", server.address, flag, "-n", 100, "--json")
            (result,) = json.loads(pinged.stdout)["results"]
            assert result["wait_mode"] == {"prober": name, "responder": name}


@pytest.mark.parametrize("direction", [[], ["--reverse"]])
def test_bw_document(direction):
    with Server() as server:
        measured = run("netsense-bench", "bw", server.address, "-D", 0.5, "--json", *direction)
    assert measured.returncode == 0, measured.stderr
    (result,) = json.loads(measured.stdout)["results"]
    assert result["direction"] == ("from_peer" if direction else "to_peer")
    bandwidth = result["bw_gbps"]
    assert 0 < bandwidth["min_window"] <= bandwidth["avg"] <= bandwidth["max_window"]
    # Bits, not bytes, and decimal.
    assert bandwidth["avg"] == pytest.approx(result["bytes"] * 8 / result["elapsed_s"] / 1e9, rel=0.01)


def test_bw_by_iterations_moves_so_many_bytes():
    with Server() as server:
        measured = run("netsense-bench", "bw", server.address, "-n", 10, "-s", 1000000, "--json")
    (result,) = json.loads(measured.stdout)["results"]
    assert result["bytes"] == 10_000_000


def test_tables_for_people():
    with Server() as server:
        pinged = run("netsense-bench", "ping", server.address, "-n", 100)
        measured = run("netsense-bench", "bw", server.address, "-n", 10)
    assert "#bytes" in pinged.stdout and "network rtt" in pinged.stdout and "0 lost" in pinged.stdout
    assert "BW average[Gb/sec]" in measured.stdout


def test_a_token_is_asked_for_and_checked(tmp_path):
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    for file, secret in ((right, "a secret\n"), (wrong, "another\n")):
        file.touch(0o600)
        file.write_text(secret)
    with Server("--token-file", str(right)) as server:
        assert run("netsense-bench", "ping", server.address, "-n", 10, "--token-file", right).returncode == 0
        refused = run("netsense-bench", "ping", server.address, "-n", 10, "--token-file", wrong, "--json")
        without = run("netsense-bench", "ping", server.address, "-n", 10, "--insecure")
    assert refused.returncode == 3
    (result,) = json.loads(refused.stdout)["results"]
    assert result["error"]["code"] == "UNAUTHENTICATED"
    assert "different tokens" in refused.stderr
    assert without.returncode == 3
    assert "requires a token" in without.stderr


def test_without_a_token_only_loopback_is_served():
    refused = run("netsense-bench", "serve", "--listen", "0.0.0.0:0")
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr
    refused = run("netsense-engine", "--listen", "0.0.0.0:0")
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr


@pytest.mark.parametrize("flag", ["--http-listen", "--gcs-listen"])
@pytest.mark.parametrize("host", ["127.example.org", "0.0.0.0", "127.0.0.1.example.org"])
def test_without_a_token_a_bridge_serves_loopback_only(flag, host):
    """A name that looks like an address of loopback is anybody's: once that opened the GCS and the API to the network."""
    environment = {key: value for key, value in os.environ.items() if "TOKEN" not in key} | {"HOME": "/nonexistent"}
    refused = run("netsense-bridge", "run", "--standalone", "--head", flag, f"{host}:0", env=environment)
    assert refused.returncode != 0 and "no token was found" in refused.stderr and host in refused.stderr, refused.stderr


class Bridge:
    """A standalone bridge on loopback whose log is read, with ports that are free where none is named."""

    def __init__(self, directory, *flags, address="127.0.0.1", **environment):
        command = [BIN / "netsense-bridge", "run", "--standalone", "--node-ip", address, "--state-file", "off", *flags]
        outside = {key: value for key, value in os.environ.items() if not key.startswith(("NETSENSE_H", "NETSENSE_DOOR", "RAY_"))}
        home = {"HOME": str(directory), "NETSENSE_RUNTIME_DIR": f"{directory}/run"}
        self.log = []
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True, env=outside | home | environment)

    def says(self, words):
        """The line with these words; None where the bridge ends without it."""
        for line in self.process.stderr:
            self.log.append(line)
            if words in line:
                return line
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=pace.hangs_after())
        self.process.stderr.close()


HTTP_PORT = 18591  # the default; where there are namespaces, of a machine of our own
HEAD = ["--head", "--gcs-listen", "127.0.0.1:0", "--network-sense-door-port", "0"]


@contextlib.contextmanager
def taken(address, port=HTTP_PORT):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((address, port))
        other.listen()
        yield other.getsockname()[1]


def gives_up_the_port(bridge, address, port=HTTP_PORT):
    line = bridge.says("HTTP")
    assert line and f"cannot listen for HTTP on {address} port {port}" in line and "choose another" in line, bridge.log
    assert "taking" not in line, "it is not the port that was named"
    assert bridge.process.wait(timeout=pace.hangs_after()) == 3


@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_port_that_somebody_named_is_the_port_or_an_error(source, tmp_path):
    """Also where it is the default's: once a head that was told 18591 took another, and its readers asked whoever had it."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"http_port": HTTP_PORT}))
    flags = {"flag": ["--network-sense-http-port", HTTP_PORT], "file": ["--settings", settings]}.get(source, [])
    environment = {"NETSENSE_HTTP_PORT": str(HTTP_PORT)} if source == "environment" else {}
    with taken("127.0.0.1"), Bridge(tmp_path, *HEAD, *flags, **environment) as bridge:
        gives_up_the_port(bridge, "127.0.0.1")


def test_the_default_port_gives_way(tmp_path):
    with taken("127.0.0.1"), Bridge(tmp_path, *HEAD) as bridge:
        assert bridge.says("taking any free port"), bridge.log
        assert bridge.says("HTTP: http://127.0.0.1:"), bridge.log


def test_the_cluster_names_a_port_too(tmp_path):
    """On a node that is not the head, and once it has read the cluster's settings; by whatever number."""
    with Bridge(tmp_path, *HEAD, "--http-listen", "127.0.0.1:0") as head:
        gcs = head.says("other nodes join by").split()[-1]
        assert head.says("HTTP: "), head.log
        join = ["--gcs-address", gcs, "--network-sense-door-port", "0"]
        for port in (HTTP_PORT, 0):
            with taken("127.0.0.2", port) as number:
                done = run("netsense-bridge", "config", "set", "--gcs-address", gcs, "network_sense_http_port", number)
                assert done.returncode == 0, done.stderr
                with Bridge(tmp_path, *join, address="127.0.0.2") as bridge:
                    gives_up_the_port(bridge, "127.0.0.2", number)


def engine_that(directory, script):
    """A program in the engine's place."""
    path = directory / "engine"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def everywhere(head, gcs, words):
    """Where a person may look: the log, /healthz, the API's node and warnings, `status`."""
    url = head.says("HTTP: ").split()[-1].rpartition("/api/")[0]

    def health():
        try:
            return json.load(urllib.request.urlopen(f"{url}/healthz"))["reason"]
        except urllib.error.HTTPError as unhealthy:
            return json.load(unhealthy)["reason"]

    def shown():
        topology = json.load(urllib.request.urlopen(f"{url}/api/v0/network_topology"))["data"]["result"]
        status = run("netsense-bridge", "status", "--gcs-address", gcs).stdout
        said = [health(), " ".join(node["reason"] for node in topology["nodes"]), " ".join(topology["warnings"]), status]
        return all(words in each for each in said)

    wait_until(f"'{words}' wherever one looks", shown, every=0.5)
    assert head.says(words), head.log


def test_a_door_port_that_is_taken_is_said_everywhere(tmp_path):
    with taken("127.0.0.1", 0) as port, Bridge(tmp_path, "--head", "--gcs-listen", "127.0.0.1:0", "--network-sense-door-port", port) as head:
        gcs = head.says("other nodes join by").split()[-1]
        everywhere(head, gcs, f"ended with exit code 3: cannot listen on 127.0.0.1:{port}: Address already in use: stop who has that port")


@pytest.mark.parametrize(
    "script, words",
    [
        ("echo 'netsense-engine: error while loading shared libraries: libibverbs.so.1: no such file' >&2; exit 127", "exit code 127: netsense-engine: error while loading shared libraries: libibverbs.so.1"),
        (f'exec {BIN.resolve()}/netsense-engine --no-such-flag "$@"', "exit code 2: The following argument was not expected: --no-such-flag"),
        (f'exec {BIN.resolve()}/netsense-engine --token-file /no/such/file "$@"', "exit code 3: the token file (named by --token-file): cannot read /no/such/file: No such file or directory"),
        ("kill -SEGV $$", "was killed by signal 11 (Segmentation fault)"),
    ],
)  # fmt: skip
def test_why_an_engine_cannot_begin_is_said_everywhere(script, words, tmp_path):
    with Bridge(tmp_path, *HEAD, "--engine", engine_that(tmp_path, script)) as head:
        gcs = head.says("other nodes join by").split()[-1]
        everywhere(head, gcs, words)


@pytest.mark.parametrize(
    "arguments, code",
    [
        (["ping"], 2),
        (["ping", "127.0.0.1"], 2),
        (["ping", "127.0.0.1:99999"], 2),
        (["ping", "127.0.0.1:1", "-n", "0"], 2),
        (["ping", "127.0.0.1:1", "-n", "5", "-D", "1"], 2),
        (["ping", "127.0.0.1:1", "-s", "70000"], 2),
        (["bw", "127.0.0.1:1", "-D", "0"], 2),
        (["ping", "127.0.0.1:1"], 3),
        (["ping", "127.0.0.1:1", "-t", "carrier-pigeon"], 3),
        ([], 2),
    ],
)
def test_exit_codes(arguments, code):
    done = run("netsense-bench", *arguments)
    assert done.returncode == code, done.stderr
    assert done.stderr.strip()


def test_ctrl_c_keeps_what_was_measured():
    with Server() as server:
        ping = subprocess.Popen([BIN / "netsense-bench", "ping", server.address, "-D", "60", "--json"], stdout=subprocess.PIPE, text=True)

        def processor_s():
            return int(Path(f"/proc/{ping.pid}/stat").read_text().rsplit(")", 1)[1].split()[11]) / os.sysconf("SC_CLK_TCK")

        wait_until("the ping to be spinning", lambda: processor_s() > 0.3)
        ping.send_signal(signal.SIGINT)
        document = json.loads(ping.communicate(timeout=pace.hangs_after())[0])
    assert ping.returncode == 0
    assert document["results"][0]["interrupted"] is True
    assert document["results"][0]["samples"] > 0


def test_ctrl_c_keeps_the_bandwidth_until_then():
    with Server() as server:
        command = [BIN / "netsense-bench", "bw", server.address, "-D", "60", "--json"]
        bw = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

        def threads_work():
            stats = [Path(f"/proc/{bw.pid}/task/{task}/stat").read_text() for task in os.listdir(f"/proc/{bw.pid}/task")]
            return sum(int(stat.rsplit(")", 1)[1].split()[12]) for stat in stats) / os.sysconf("SC_CLK_TCK") > 0.2  # in the kernel: it streams

        wait_until("the stream to run", threads_work)
        bw.send_signal(signal.SIGINT)
        document = json.loads(bw.communicate(timeout=pace.hangs_after())[0])
    assert bw.returncode == 0
    row = document["results"][0]
    assert row["interrupted"] is True and row["bw_gbps"]["avg"] > 0 and 0 < row["elapsed_s"] < 59


@pytest.mark.parametrize("transport", ["tcp", "grpc", "ucx"])
def test_a_line_a_second_while_it_runs(transport, tmp_path):
    """In the JSON Lines, where they are no rows; on a terminal; and not in a pipe."""
    lines = tmp_path / "lines.jsonl"
    with Server() as server:
        command = [BIN / "netsense-bench", "bw", server.address, "-t", transport, "-D", "3.5", "-b"]
        done = subprocess.run([*command, "--jsonl", lines], capture_output=True, text=True, timeout=pace.hangs_after())
        assert done.returncode == 0 and done.stderr == "", done.stderr
        master, slave = pty.openpty()
        with os.fdopen(master) as terminal:
            shown = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, text=True, timeout=pace.hangs_after())
            os.close(slave)
            told = []
            with contextlib.suppress(OSError):  # the terminal's end
                for line in terminal:
                    told.append(line.strip())
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    intervals = [row for row in rows if row.get("kind") == "interval"]
    (measured,) = [row for row in rows if row.get("kind") == "bw"]
    assert rows.index(intervals[-1]) < rows.index(measured) and 2 <= len(intervals) <= 4 * pace.scale()
    for i, row in enumerate(intervals):
        assert row["transport"] == transport and row["since_start_s"] >= i + 1 and row["interval_s"] >= 1
    moved = sum(row["interval_s"] * (row["sent_gbps"] + row["received_gbps"]) for row in intervals) / 8 * 1e9
    assert moved > 0 and all(row["sent_gbps"] + row["received_gbps"] > 0 for row in intervals)
    # A stream to the peer is counted where it arrives: what buffers hold is ahead.
    assert moved <= measured["bytes"] + 2 * 64 * 2**20
    assert shown.returncode == 0 and "interval" not in shown.stdout
    assert sum("sent" in line and "received" in line and "Gb/s" in line for line in told) >= 2, told
    # Whoever reads results counts the row alone.
    same = run("netsense-bench", "compare", lines, lines, "--json")
    assert same.returncode == 0 and len(json.loads(same.stdout)["rows"]) == 1, same.stdout + same.stderr


def test_a_peer_that_dies_in_the_middle_leaves_what_was_measured():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([BIN / "netsense-bench", "serve", "--listen", f"127.0.0.1:{port}", "--json"], stdout=subprocess.PIPE, text=True)
    json.loads(server.stdout.readline())
    command = [str(BIN / "netsense-bench"), "ping", f"127.0.0.1:{port}", "-D", "60", "--json"]
    ping = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def processor_s():
        return int(Path(f"/proc/{ping.pid}/stat").read_text().rsplit(")", 1)[1].split()[11]) / os.sysconf("SC_CLK_TCK")

    wait_until("the ping to be spinning", lambda: processor_s() > 0.3)
    server.kill()
    server.wait()
    out, err = ping.communicate(timeout=pace.hangs_after())
    row = json.loads(out)["results"][0]
    assert ping.returncode == 3 and ("closed the connection" in err or "reset by peer" in err)
    assert row["samples"] > 0 and row["rtt_us"]["p50"] > 0 and row["ended_by"]["code"] == "UNAVAILABLE"


def test_microseconds_are_no_bandwidth():
    """Once between 0.000 and 25 Gb/s, and good enough for --min-bw now and then."""
    with Server() as server:
        done = run("netsense-bench", "bw", server.address, "-s", "3", "-n", "10", "--min-bw", "0.001")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "too short a stream to be timed" in done.stdout and "is not known, and at least 0.001 was demanded" in done.stderr
        assert "0.000" not in done.stdout.splitlines()[2].split()[:5] and "-" in done.stdout.splitlines()[2].split()
        row = json.loads(run("netsense-bench", "bw", server.address, "-s", "3", "-n", "10", "--json").stdout)["results"][0]
        assert row["bw_gbps"] == {"avg": None, "min_window": None, "max_window": None} and row["not_known_reason"]
        swept = run("netsense-bench", "sweep", server.address, "--no-ping", "--max-size", "64", "--json")
        assert all(row["bw_gbps"]["avg"] > 0 for row in json.loads(swept.stdout)["results"]), "each size is measured long enough"


def test_ctrl_c_before_anything_was_measured_is_no_success():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        command = [str(BIN / "netsense-bench"), "ping", f"127.0.0.1:{port}", "--max-rtt", "1000", "--json"]
        ping = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with silent.accept()[0]:  # and says nothing
            ping.send_signal(signal.SIGINT)
            out, err = ping.communicate(timeout=pace.hangs_after())
    document = json.loads(out)
    assert ping.returncode == 3 and document["results"] == [] and document["interrupted"] is True
    assert "interrupted before anything was measured" in err


def test_no_progress_bar_in_a_pipe():
    with Server() as server:
        pinged = run("netsense-bench", "ping", server.address, "-D", 1.5)
    assert pinged.stderr == ""


def test_an_engine_gives_what_its_limits_allow(tmp_path):
    engine = subprocess.Popen(
        [BIN / "netsense-engine", "--listen", "127.0.0.1:0", "--control-socket", tmp_path / "run" / "engine.sock"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        engine.stderr.readline()  # it says so when it answers
        status = run("netsense-engine", "--status", "--json", "--control-socket", tmp_path / "run" / "engine.sock")
        document = json.loads(status.stdout)
        address = f"127.0.0.1:{document['info']['door_port']}"
        assert document["snapshot"]["lease_in_force"] is False
        assert run("netsense-bench", "ping", address, "-n", 10).returncode == 0
        assert run("netsense-bench", "bw", address, "-n", 4).returncode == 0
        too_much = run("netsense-bench", "bw", address, "-D", 1)
        assert too_much.returncode == 3
        assert "netsense-bench serve" in too_much.stderr
    finally:
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(timeout=pace.hangs_after()) == 0
        engine.stderr.close()
    assert not (tmp_path / "run" / "engine.sock").exists()


def test_the_readme_tells_every_setting_and_its_default():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = run("netsense-bridge", "config", "--json", env=os.environ | {"RAY_TMPDIR": os.environ["HOME"], "TMPDIR": os.environ["HOME"]})
    assert shown.returncode == 0, shown.stderr
    settings = json.loads(shown.stdout)["settings"]
    assert len(settings) > 10
    for setting in settings:
        assert f"| `{setting['name']}` | {setting['value']} |" in readme
