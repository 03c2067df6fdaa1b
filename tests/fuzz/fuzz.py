#!/usr/bin/python3
"""make fuzz: lets libFuzzer invent inputs for each harness, and says what came of it.

A harness runs until it had 10,000,000 executions, or brought no new edge for 10 minutes, or MINUTES are over; a crash ends it at once.
What it finds to be of interest stays in build/fuzz/corpus and is gone on from the next time; what it breaks something with in build/fuzz/found.
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = HERE / "corpus"
ENOUGH = 10_000_000  # executions
DRY_S = 600  # without a new edge
# Bounds of one input, with sanitizers: a reader that takes longer or more has no bounds of its own.
LIMITS = ["-timeout=25", "-rss_limit_mb=2048", "-malloc_limit_mb=512", "-max_len=65536"]
PROGRESS = re.compile(r"^#(\d+)\s.*?\bcov: (\d+)", re.ASCII)


class Outcome(NamedTuple):
    executions: int
    edges: int
    seconds: float
    dry: float  # seconds since the last new edge
    found: list[pathlib.Path]
    words: str  # of the crash


class Harness:
    def __init__(self, build: pathlib.Path, name: str) -> None:
        self.name = name
        self.program = build / "bin" / f"fuzz_{name}"
        self.corpus, self.found = build / "corpus" / name, build / "found" / name
        for folder in (self.corpus, self.found):
            folder.mkdir(parents=True, exist_ok=True)

    def command(self, *arguments: object) -> list[str]:
        # On a machine of its own as far as it can tell: whatever an input makes it do, it reaches nobody.
        return [str(part) for part in (ROOT / "tests/lab/own_machine.sh", self.program, *arguments)]

    def run(self, minutes: float) -> Outcome:
        before = set(self.found.iterdir())
        limit = [f"-max_total_time={minutes * 60:.0f}"] if minutes > 0 else []
        command = self.command(
            *LIMITS, *limit, f"-runs={ENOUGH}", "-print_final_stats=1", f"-artifact_prefix={self.found}/", self.corpus, KEPT / self.name
        )
        begin = last_new = time.monotonic()
        executions = edges = 0
        words: list[str] = []
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, errors="replace") as process:
            assert process.stderr is not None
            for line in process.stderr:
                if match := PROGRESS.match(line):
                    executions = int(match[1])
                    if int(match[2]) > edges:
                        edges, last_new = int(match[2]), time.monotonic()
                    if time.monotonic() - last_new > DRY_S:
                        process.terminate()
                elif "stat::number_of_executed_units" in line:
                    executions = int(line.split()[-1])
                elif re.search(r"does not hold:|ERROR: |runtime error: |SUMMARY: ", line):
                    words.append(line.strip())
        now = time.monotonic()
        found = sorted(set(self.found.iterdir()) - before)
        if process.returncode != 0 and not found and now - last_new <= DRY_S:
            words.append(f"it ended with code {process.returncode}")
        return Outcome(executions, edges, now - begin, now - last_new, found, "; ".join(words[:2]))

    def keep(self) -> int:
        """Takes over into the kept corpus what adds to it, and nothing else."""
        (KEPT / self.name).mkdir(exist_ok=True)
        merged = subprocess.run(self.command(*LIMITS, "-merge=1", KEPT / self.name, self.corpus), capture_output=True, check=False)
        return merged.returncode


def row(name: str, of: Outcome) -> str:
    return f"{name:<17} {of.executions:>11,} {of.executions / max(of.seconds, 1):>8,.0f} {of.edges:>7,} {of.seconds:>7.0f} {of.dry:>7.0f}   {of.words or '-'}"


def tell(harness: Harness, outcome: Outcome) -> None:
    print(row(harness.name, outcome), flush=True)
    for path in outcome.found:
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(f"    again:   {harness.program.relative_to(ROOT)} {shown}")
        print(
            f"    to keep: cp {shown} tests/fuzz/corpus/{harness.name}/WHAT_IT_SHOWS, which fails in ctest -R '^fuzz' until it is mended", flush=True
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/fuzz")
    parser.add_argument("--minutes", type=float, default=1, help="the longest that one harness runs; 0: as long as it takes")
    parser.add_argument("--jobs", type=int, default=1, help="harnesses side by side")
    parser.add_argument("--keep", action="store_true", help="run none; take what earlier runs found to be new over into tests/fuzz/corpus")
    parser.add_argument("names", nargs="*", help="harnesses (default: all)")
    arguments = parser.parse_args()
    known = sorted(path.name for path in KEPT.iterdir())
    if unknown := sorted(set(arguments.names) - set(known)):
        parser.error(f"no harness {', '.join(unknown)}; there is: {', '.join(known)}")
    harnesses = [Harness(arguments.build.resolve(), name) for name in arguments.names or known]
    if arguments.keep:
        return max(harness.keep() for harness in harnesses)
    print(f"{'harness':<17} {'executions':>11} {'a second':>8} {'edges':>7} {'seconds':>7} {'dry s':>7}   found", flush=True)
    broken = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        runs = {pool.submit(harness.run, arguments.minutes): harness for harness in harnesses}
        for run in concurrent.futures.as_completed(runs):
            tell(runs[run], run.result())
            broken += bool(run.result().words)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
