"""The secret that the nodes of one cluster share: Ray's own where Ray has one."""

from __future__ import annotations

from pathlib import Path

from .private_file import write_private


def ray_token() -> str | None:
    """Ray's token, by Ray's own precedence; None where Ray asks for none (or is too old to know of any)."""
    import ray._raylet

    loader = getattr(ray._raylet, "AuthenticationTokenLoader", None)
    return (loader.instance().get_raw_token() or None) if loader else None


def write_token(path: Path, fallback: str) -> None:
    """Ray's token, or `fallback` where Ray has none, into the file `path`, which only its owner can read.

    Replaced as a whole: several nodes of one host may share the folder, and nobody reads half a file. NetsenseError: the folder is not ours.
    """
    write_private(path, (ray_token() or fallback) + "\n")
