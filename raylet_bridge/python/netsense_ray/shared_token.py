"""The secret that the nodes of one cluster share: Ray's own where Ray has one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def ray_token() -> str | None:
    """Ray's token, by Ray's own precedence; None where Ray asks for none (or is too old to know of any)."""
    import ray._raylet

    loader = getattr(ray._raylet, "AuthenticationTokenLoader", None)
    return (loader.instance().get_raw_token() or None) if loader else None


def write_token(path: Path, fallback: str) -> None:
    """Ray's token, or `fallback` where Ray has none, into the file `path`, which only its owner can read.

    Written beside and renamed: several nodes of one host may share the folder, and nobody reads half a file.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with open(descriptor, "w") as file:
        file.write((ray_token() or fallback) + "\n")
    os.replace(beside, path)
