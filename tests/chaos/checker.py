#!/usr/bin/env python3
"""Holds the rules (rules.py) over records of the nemesis (history.py): checker.py RECORD...

Exit code 0: no rule is violated; 1: some are, and it says which and when; 2: what it was given is no record. A record needs nothing but its
file: when a rule is added, all that were kept can be checked again.
"""

import argparse
import collections
import sys

import metrics_rules  # noqa: F401 - it adds its rules
from record import read
from rules import RULES

MOST_TOLD = 4  # of one rule


def check(record, rules=RULES):
    """Rule's name -> what violates it."""
    violations = {each.__name__: list(each(record)) for each in rules}
    return {name: said for name, said in violations.items() if said}


def tell(path, record, violations):
    faults = collections.Counter(fault.name for fault in record.faults)
    print(f"{path}: {len(record.lines)} lines, {len(record.documents)} documents, {len(faults)} kinds of fault, {len(RULES)} rules")
    for name, said in violations.items():
        print(f"  VIOLATED {name}: {len(said)} times")
        for each in said[:MOST_TOLD]:
            print(f"    {each}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="*", help="files, .jsonl or .jsonl.gz")
    parser.add_argument("--rules", action="store_true", help="list the rules")
    arguments = parser.parse_args()
    if arguments.rules:
        for each in RULES:
            print(f"{each.__name__}: {each.__doc__}")
        return 0
    if not arguments.records:
        parser.error("give the file of a record")
    bad = False
    for path in arguments.records:
        try:
            record = read(path)
        except (OSError, ValueError, KeyError) as error:
            print(f"{path}: no record: {error}", file=sys.stderr)
            return 2
        violations = check(record)
        tell(path, record, violations)
        bad |= bool(violations)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
