"""The file in site-packages by which Python, started as `ray`, comes to `ray_command.hook`."""

from __future__ import annotations

import importlib.util
import os
import site
import sys
import sysconfig
import tempfile
from pathlib import Path

from .programs import NetsenseError

FILE = "netsense_ray_command.pth"
# One line, as .pth files have it. Whatever fails, or is no longer installed: Python and Ray go on as if it were not there.
LINE = (
    'import sys; exec("try:\\n from netsense_ray.ray_command import hook\\n hook()\\nexcept Exception: pass")'
    ' if "".join(getattr(sys, "argv", ())[:1]).rpartition("/")[2] == "ray" else None\n'
)


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
