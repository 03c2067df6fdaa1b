"""Files below Ray's session folder, in which every user of the host may write (Ray makes it with mode 0777): ours are ours alone.

Everything is judged by the descriptor that is then used, so that nothing can be exchanged between the look and the use.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from .programs import NetsenseError


def write_private(path: Path, text: str) -> None:
    """Puts `text` into the file `path` (mode 0600), whole, in a folder (0700) that is made where there is none.

    NetsenseError: the folder is somebody else's, or open to others, or a link.
    """
    with contextlib.suppress(FileExistsError):
        path.parent.mkdir(mode=0o700)
    with _private_folder(path.parent) as folder:
        beside = f".{path.name}.{secrets.token_hex(8)}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with open(descriptor, "w") as file:
                file.write(text)
            os.rename(beside, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            os.unlink(beside, dir_fd=folder)
            raise


def remove_private(path: Path) -> None:
    """Removes the file, and its folder when nothing else is in it. What is not ours, or not there, is left alone."""
    with contextlib.suppress(OSError, NetsenseError), _private_folder(path.parent) as folder:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=folder)
        path.parent.rmdir()


def open_log(path: Path) -> int:
    """A descriptor that appends to the file `path`, which is made where there is none. NetsenseError: it is a link, or somebody else's."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise NetsenseError(f"cannot write the log {path} ({error.strerror}): if it is a link, or somebody else's, remove it") from error
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid() or about.st_nlink != 1:
        os.close(descriptor)
        raise NetsenseError(f"{path} belongs to user {about.st_uid}, not to this one ({os.geteuid()}), or is no plain file: remove it")
    return descriptor


def read_secret(path: Path) -> str:
    """The text of a file that this user or root wrote, and others may not read. OSError: it can't be read, or is no secret."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor) as file:
        about = os.fstat(descriptor)
        if about.st_uid not in (os.geteuid(), 0) or about.st_mode & 0o026:
            raise PermissionError(f"{path} is no secret: it must belong to this user or to root, and others may not read it")
        return file.read()


@contextlib.contextmanager
def _private_folder(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise NetsenseError(f"cannot use the folder {path} ({error.strerror}): if it is a link, or somebody else's, remove it") from error
    try:
        about = os.fstat(descriptor)
        if about.st_uid != os.geteuid():
            raise NetsenseError(f"{path} belongs to user {about.st_uid}, not to this one ({os.geteuid()}): remove it")
        if about.st_mode & 0o077:
            raise NetsenseError(f"others may enter {path} (mode {stat.S_IMODE(about.st_mode):04o}): chmod 700 {path}")
        yield descriptor
    finally:
        os.close(descriptor)
