"""A transport's name stands in its folder and in the registry: whoever adds one edits nothing else (docs/adding_a_transport.md)."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = "tcp|grpc|ucx|verbs"
PATTERNS = ["*.cc", "*.h", "*.proto", "*.py", "*.ts", "*.yml"]
# What belongs to a transport, and what speaks of all there are.
NOT_READ = re.compile(r"transports/(tcp|grpc|ucx|verbs)/|proto/netsense/(ucx|verbs)\.proto|(tests|docs|bench/versus)/|.*/test/")
# With what they may name, each for its reason.
EXCEPTIONS = {
    "transports/registry.cc": "the list",
    "base/plain_transport.h": "the one that every node has",
    "bench/main.cc": "an example of a command, for people",
    "bench/measure_flags.cc": "the help says whose stamps are the kernel's",
    "raylet_bridge/records/settings.cc": "the help shows how names are written",
    "raylet_bridge/python/netsense_ray/placement.py": "what Ray's own objects travel by",
    "raylet_bridge/monitoring/ray_network_sense.rules.yml": "the only one whose streams are known to fill a port",
}

STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"' + r"|'(?:[^'\\\n]|\\.)*'" + r"|`(?:[^`\\]|\\.)*`")
COMMENTS = {
    ".py": re.compile(r'"""(?:.|\n)*?"""|(?<!["\'])#[^\n]*'),
    ".yml": re.compile(r"(?:^|\s)#[^\n]*"),
}
C_COMMENTS = re.compile(r"(?:^|\s)//(?:\s[^\n]*)?$|/\*(?:.|\n)*?\*/|^\s*#include[^\n]*", re.MULTILINE)
NAME = re.compile(rf"\b(?:{NAMES})\b")
# gRPC and TCP are libraries and protocols, too: of those only names in texts count.
IDENTIFIER = re.compile(r"\b\w*(?:[Uu]cx|[Vv]erbs)\w*\b")


def names_in(path, text):
    """Lines of `text` that name a transport, without what is said in comments."""
    text = COMMENTS.get(Path(path).suffix, C_COMMENTS).sub("", text)
    for line in text.splitlines():
        named = [found for string in STRING.findall(line) for found in NAME.findall(string)]
        if path.endswith(".yml"):
            named += NAME.findall(line)
        if named or IDENTIFIER.search(STRING.sub("", line)):
            yield line.strip()


def the_tree():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", *PATTERNS], capture_output=True, text=True, check=True)
    return {path: (ROOT / path).read_text() for path in listed.stdout.split() if (ROOT / path).exists() and not NOT_READ.match(path)}


def found_in(tree):
    return {path: lines for path, text in sorted(tree.items()) if (lines := list(names_in(path, text)))}


def test_names_stand_in_their_folders():
    tree = the_tree()
    assert len(tree) > 250, "the sources were not found"
    assert len(EXCEPTIONS) <= 10
    found = found_in(tree)
    assert {path: lines for path, lines in found.items() if path not in EXCEPTIONS} == {}
    assert set(EXCEPTIONS) <= set(found), "an exception that is none any more"


@pytest.mark.parametrize(
    "path, line",
    [
        ("engine/expectation.cc", 'return transport == "verbs";'),
        ("raylet_bridge/plan/port_pairs.cc", 'std::set<std::string> kTransports = {"tcp", "udp"};'),
        ("bench/loaded.cc", 'const char* help = "a class (grpc, verbs)";'),
        ("engine/prober.cc", "options.set_ucx_tls(tls);"),
        ("proto/netsense/session.proto", "string ucx_tls = 4;"),
        ("raylet_bridge/python/netsense_ray/ring.py", "if edge.transport == 'ucx':"),
        ("raylet_bridge/page/src/view.ts", 'const carries = transport === "verbs";'),
    ],
)
def test_a_planted_name_is_found(path, line):
    assert path in found_in({path: line + "\n"})


@pytest.mark.parametrize(
    "path, line",
    [
        ("engine/prober.cc", "// verbs and ucx go by RDMA"),
        ("engine/prober.cc", '#include "netsense/verbs.pb.h"'),
        ("engine/prober.cc", "grpc::Status status = call(tcp_info);"),
        ("engine/prober.cc", 'counters["tcp_retransmits"]'),
        ("raylet_bridge/python/netsense_ray/ring.py", '"""tcp, grpc."""'),
    ],
)
def test_what_is_no_name_is_not(path, line):
    assert found_in({path: line + "\n"}) == {}
