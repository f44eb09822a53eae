"""Files that survive a crash and are nobody else's business.

A file is either whole or as it was before; it is on the disk before the caller goes on; and only
its owner can read it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mc2.errors import FormatError, UsageError

_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_OTHERS: Final = 0o077


def make_private_folder(path: Path) -> None:
    """Make a folder with mode 0700, or check that it has it.

    Raises: UsageError if it is no folder, or if others can look into it.
    """
    path.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    if path.stat().st_mode & _OTHERS:
        raise UsageError(
            f"others can look into {path}",
            hint=f"it holds keys: chmod 700 {path}, and ask who could have read them",
        )


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable: a new file is lost in a crash until this is done."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create_file(path: Path, raw: bytes) -> None:
    """Write a file that must not exist yet, mode 0600, durably.

    It appears whole or not at all. Raises: FileExistsError.
    """
    draft = _write_draft(path, raw)
    try:
        os.link(draft, path)  # unlike rename, this refuses to overwrite
    finally:
        draft.unlink()
    sync_folder(path.parent)


def replace_file(path: Path, raw: bytes) -> None:
    """Write a file, mode 0600, durably; a crash leaves the old or the new one, whole."""
    _write_draft(path, raw).replace(path)
    sync_folder(path.parent)


def _write_draft(path: Path, raw: bytes) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink()  # a full disk must not fill with drafts
        raise
    return draft


def read_file(path: Path, limit: int) -> bytes:
    """Read a file of at most `limit` bytes. Raises: FileNotFoundError, FormatError."""
    with path.open("rb") as file:
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise FormatError(f"{path} is larger than {limit} bytes")
    return raw


def read_secret_file(path: Path, limit: int) -> bytes:
    """Read a file that only its owner may read or write.

    Raises: FileNotFoundError, FormatError, UsageError if others can reach it.
    """
    with path.open("rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS:
            raise UsageError(
                f"others can read or write {path}, which holds private keys",
                hint=f"if nobody did: chmod 600 {path}; otherwise make a new identity",
            )
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise FormatError(f"{path} is larger than {limit} bytes")
    return raw


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path`; waits for another process or thread that has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock file at `path` if nobody else does; whether it is held."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)
