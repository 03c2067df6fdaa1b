"""`ray network`: netsense as a command of Ray's own `ray`.

Ray's command has no place for plug-ins. What `enable-cli` writes into site-packages (startup_file.py) is a line that Python runs at each
start: it looks at the program's name, and does nothing unless that is `ray`. Then it comes here, which waits until Ray has made its
commands, and adds one.
"""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

COMMANDS = {
    "status": "Every node, and round-trip times and bandwidths between them.",
    "topology": "The same as rows, for programs.",
    "up": "Start netsense on every node of the cluster.",
    "down": "Stop it.",
}


def hook() -> None:
    """Runs while Python starts as `ray`: has the command added as soon as Ray's commands are made."""
    if not any(isinstance(finder, _AfterRaysCommands) for finder in sys.meta_path):  # Python reads some .pth files twice
        sys.meta_path.insert(0, _AfterRaysCommands())


class _AfterRaysCommands:
    """Finds nothing itself; has `add_to` called when the module of Ray's commands has been loaded."""

    MODULE = "ray.scripts.scripts"

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        if name != self.MODULE:
            return None
        sys.meta_path.remove(self)
        try:
            spec: Any = importlib.util.find_spec(name)
            run = spec.loader.exec_module

            def run_and_add(module: ModuleType) -> None:
                run(module)
                _add_or_say_why_not(module)

            spec.loader.exec_module = run_and_add
        except Exception:
            return None  # then Ray's command is loaded as ever
        return spec


def _add_or_say_why_not(module: ModuleType) -> None:
    try:
        add_to(module.cli)
    except Exception as error:
        if sys.argv[1:2] == ["network"]:
            print(f"netsense cannot add `ray network` to this Ray: {error!r}", file=sys.stderr)


def add_to(cli: Any) -> None:
    """Adds the group `network` to a click group. Each of its commands is the one of `python -m netsense_ray`, flags and all."""
    import click

    @cli.group()
    def network() -> None:
        """Round-trip times and bandwidths between the nodes (netsense)."""

    def add(name: str, short_help: str) -> None:
        @network.command(
            name,
            short_help=short_help,
            add_help_option=False,
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        )
        @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
        def command(arguments: tuple[str, ...]) -> None:
            from .cli import main

            sys.argv = ["ray network", name, *arguments]
            sys.exit(main())

    for name, short_help in COMMANDS.items():
        add(name, short_help)
