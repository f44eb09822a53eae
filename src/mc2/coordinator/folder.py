"""A coordinator's folder: one process at a time, and what it hands out.

::

    coordinator.lock    held while a coordinator runs; the number of its process
    coordinator.json    for clients: URL and certificate    (mc2.formats.coordinator_file)
    invitation.token    what enrols a new party, 0600; replace its text to change it
    tls/                certificate.pem and key.pem
    data/               everything that was stored: back this up
    blocks/             of jobs under way, sealed; emptied at each start
    logs/               of the enclave workers
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mc2.crypto.tls import certificate_names, self_signed
from mc2.errors import CoordinatorError, UsageError

CERTIFICATE_DAYS: Final = 3650  # clients pin it: its end is a nuisance, not a safeguard
_TOKEN_BYTES: Final = 32
_LOCK_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.05


class CoordinatorFolder:
    """The paths in a coordinator's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.lock = self.root / "coordinator.lock"
        self.file = self.root / "coordinator.json"
        self.invitation = self.root / "invitation.token"
        self.certificate = self.root / "tls" / "certificate.pem"
        self.key = self.root / "tls" / "key.pem"
        self.data = self.root / "data"
        self.blocks = self.root / "blocks"
        self.logs = self.root / "logs"

    def token(self) -> str:
        """The present invitation token, or nothing if the operator removed it."""
        try:
            return self.invitation.read_text("ascii").strip()
        except FileNotFoundError:
            return ""

    def prepare(self, names: Sequence[str], now: datetime) -> None:
        """Make what is not there yet: token, certificate and key.

        Raises: UsageError if the certificate is not for these names.
        """
        for folder in (self.root, self.certificate.parent, self.data, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.invitation.exists():
            write_file(self.invitation, secrets.token_urlsafe(_TOKEN_BYTES).encode("ascii"))
        if not self.certificate.exists():
            made = self_signed(names, at=now, days=CERTIFICATE_DAYS)
            write_file(self.key, made.key)
            write_file(self.certificate, made.certificate)
        absent = set(names) - set(certificate_names(self.certificate.read_bytes()))
        if absent:
            raise UsageError(
                f"the certificate in {self.certificate.parent} is not for {min(absent)}",
                hint="remove it to have another made; all clients then need coordinator.json anew",
            )


class FolderLock:
    """Held by the one coordinator of a folder; the kernel lets go of it when the process dies."""

    def __init__(self, folder: CoordinatorFolder) -> None:
        self._path = folder.lock
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:  # longer than somebody takes to ask who runs
                holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
                os.close(descriptor)
                raise CoordinatorError(
                    f"a coordinator runs on {self._path.parent} already (process {holder})",
                    hint="stop it with `mc2 stop`, or choose another folder",
                )
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode("ascii"))
        self._descriptor = descriptor
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)


def running_process(root: Path) -> int | None:
    """The process of the coordinator that runs on a folder, or None."""
    try:
        descriptor = os.open(CoordinatorFolder(root).lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        text = os.read(descriptor, 32).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)
    return int(text) if text.isdecimal() else None


def stop_process(root: Path, *, timeout_seconds: float = 30.0) -> bool:
    """Stop the coordinator of a folder and wait until it is gone; whether there was one.

    Raises: CoordinatorError if it does not stop in time.
    """
    process = running_process(root)
    if process is None:
        return False
    os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + timeout_seconds
    while running_process(root) == process:
        if time.monotonic() > deadline:
            raise CoordinatorError(
                f"the coordinator (process {process}) does not stop",
                hint=f"kill -9 {process} loses nothing that was stored",
            )
        time.sleep(_POLL_SECONDS)
    return True


def write_file(path: Path, raw: bytes) -> None:
    """Write a file, mode 0600, whole or not at all, and have it on disk."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
