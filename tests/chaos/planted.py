#!/usr/bin/env python3
"""Puts the worst defects that this project once had back, one at a time, into a copy of the tree: the nemesis must find each.

    planted.py [--only NAME]

Exit code 0: every defect was found by the rule that is there for it, and the copy without any passed. By hand (`make chaos-planted`): each is
a build and a minute. A defect whose place in the sources is no longer there is an error: find where it would stand today.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPY = ROOT / "build" / "planted"


@dataclass
class Defect:
    name: str
    changes: list  # (file, text, what stands there instead)
    kinds: str
    rule: str
    steps: int = 1


DEFECTS = [
    Defect(
        "a failing stream stays good",
        [("engine/bandwidth_record.cc", "  ++failures_;\n", "")],
        "black-hole-pair",
        "a_stream_that_cannot_pass_is_told",
    ),
    Defect(
        "bandwidth lives for ever",
        [
            ("engine/bandwidth_record.cc", "if (round_.count() == 0) Clear();", ""),
            ("engine/bandwidth_record.cc", "if (round_.count() == 0) {", "if (false) {"),
            ("engine/bandwidth_record.cc", "figure.age_ms() > life().count()", "false"),
            ("raylet_bridge/records/report.cc", "*edge.bw_age_ms + ms <= edge.bw_life_ms.value_or(0)", "ms >= 0"),
        ],
        "setting-no-bandwidth",
        "no_figure_outlives_its_life",
    ),
    Defect(
        "a dead node leaves no trace",
        [("raylet_bridge/cluster/node_roster.cc", "if ((end != nullptr && end->left_in_order) ||", "if (true ||")],
        "kill-node",
        "a_node_that_is_gone_is_told",
    ),
    Defect(
        "ages are taken from wall clocks",
        [("raylet_bridge/cluster/topology.cc", "if (sighting == view.sightings.end())", "if (sighting == view.sightings.end() || now_epoch_ms > 0)")],
        "clock-day-behind",
        "all_is_good_again",
    ),
    Defect(
        "a child answers for an engine that stands still",
        [("transports/isolated/host.cc", "if (left.count() <= 0)", "if (left.count() <= -1'000'000'000)")],
        "stop-engine",
        "ok_implies_an_answer",
    ),
]


def copy_tree():
    """The committed tree, in a folder of its own; its build folder is kept."""
    source = COPY / "source"
    source.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    for file in {file for defect in DEFECTS for file, *_ in defect.changes}:
        (source / file).touch()  # else it is older than what was built of it with a defect in it
    return source


def found_by(source, defect, records):
    """The names of the rules that the nemesis saw violated."""
    command = [sys.executable, ROOT / "tests/chaos/nemesis.py", "--bin", source / "build/dev/bin", "--records", records, "--nodes", "5"]
    done = subprocess.run([*command, "--seeds", "7", "--kinds", defect.kinds, "--steps", str(defect.steps)], text=True, stdout=subprocess.PIPE)
    print(done.stdout, flush=True)
    rules = {line.split()[1].rstrip(":") for line in done.stdout.splitlines() if line.strip().startswith("VIOLATED")}
    if done.returncode != (1 if rules else 0):
        sys.exit(f"{defect.name}: the nemesis ended with exit code {done.returncode}, and says {rules or 'nothing'}")
    return rules


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="the defects whose name has this in it")
    arguments = parser.parse_args()
    missed = []
    for defect in DEFECTS:
        if arguments.only and arguments.only not in defect.name:
            continue
        for planted in (False, True):
            source = copy_tree()
            for file, text, instead in defect.changes if planted else ():
                before = (source / file).read_text()
                if before.count(text) != 1:
                    sys.exit(f"{defect.name}: {file} has {text!r} {before.count(text)} times; where would the defect stand today?")
                (source / file).write_text(before.replace(text, instead))
            subprocess.run(["make/build.sh", "dev", "programs"], cwd=source, check=True)
            rules = found_by(source, defect, COPY / ("with" if planted else "without"))
            expected = defect.rule in rules if planted else not rules
            print(f"{'PLANTED' if planted else 'without'}: {defect.name}: {', '.join(sorted(rules)) or 'nothing is violated'}", flush=True)
            if not expected:
                missed.append(f"{defect.name} ({'with' if planted else 'without'} it)")
    print(f"not as expected: {'; '.join(missed)}" if missed else "all defects were found, and nothing else")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
