"""`ray network`: netsense as a command of Ray's own `ray`.

Ray's command has no place for plug-ins. `enable` writes one file into site-packages, whose line Python runs at each start: it looks at
the program's name, and does nothing unless that is `ray`. There it waits until Ray has made its commands, and adds one.
"""

from __future__ import annotations

import importlib.util
import os
import site
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from .programs import NetsenseError

FILE = "netsense_ray_command.pth"
# One line, as .pth files have it. Whatever fails, or is no longer installed: Python and Ray go on as if it were not there.
LINE = (
    'import sys; exec("try:\\n from netsense_ray.ray_command import hook\\n hook()\\nexcept Exception: pass")'
    ' if "".join(getattr(sys, "argv", ())[:1]).rpartition("/")[2] == "ray" else None\n'
)
COMMANDS = {
    "status": "Every node, and round-trip times and bandwidths between them.",
    "topology": "The same as rows, for programs.",
    "up": "Start netsense on every node of the cluster.",
    "down": "Stop it.",
}


def enable() -> None:
    """Adds `network` to the `ray` command of this Python, and prints what was done. NetsenseError when it could not be."""
    if importlib.util.find_spec("ray") is None:
        raise NetsenseError(f"there is no Ray in this Python ({sys.executable}): install ray-netsense into the one that has Ray")
    path = _site_packages() / FILE
    if _is_written(path):
        print(f"`ray network` was there already, by {path}")
        return
    try:
        # Other programs may be starting: they see the whole file or none.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=FILE, suffix=".new")
        try:
            os.write(descriptor, LINE.encode())
            os.fchmod(descriptor, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _not_writable(path, error) from error
    print(f"`ray network` is there now: wrote {path}")


def disable() -> None:
    """Takes `network` out of the `ray` command again, and prints what was done. NetsenseError when it could not be."""
    path = _site_packages() / FILE
    try:
        path.unlink()
        print(f"`ray network` is gone: removed {path}")
    except FileNotFoundError:
        print(f"`ray network` was not there: no {path}")
    except OSError as error:
        raise _not_writable(path, error) from error


def _not_writable(path: Path, error: OSError) -> NetsenseError:
    return NetsenseError(f"cannot write {path}: {error.strerror}; run this as the user who installed ray-netsense, or use a virtual environment")


def _site_packages() -> Path:
    """Where this package is, if Python reads .pth files there, else where packages are installed."""
    here = Path(__file__).resolve().parents[1]
    read = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    if any(Path(directory).resolve() == here for directory in read):
        return here
    return Path(sysconfig.get_path("purelib"))


def _is_written(path: Path) -> bool:
    try:
        return path.read_text() == LINE
    except OSError:
        return False


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
            spec = importlib.util.find_spec(name)
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
            from .__main__ import main

            sys.argv = ["ray network", name, *arguments]
            sys.exit(main())

    for name, short_help in COMMANDS.items():
        add(name, short_help)
