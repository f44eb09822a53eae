"""The file with a machine's code log: one for all workers, written before the register is.

Nothing of it is believed by owners: the quoted register says whether it is true. It is only kept
in order here, so that workers which start at one time, crash or follow a reset still can attest.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mc2.attestation.tpm.client import TpmClient
from mc2.attestation.tpm.code_log import CODE_BANK, CODE_REGISTER, CodeEvent, CodeLog
from mc2.errors import AttestationError, EvidenceError

_LARGEST = 512 * 1024


class CodeLogFile:
    """A code log on disk, next to a file that is locked while register and log change."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = path.with_name(path.name + ".lock")

    @contextmanager
    def held(self) -> Iterator[CodeLog]:
        """The log, while no worker changes it or the register. Raises: AttestationError."""
        with self._locked(fcntl.LOCK_SH):
            yield self._read()

    def extend(self, client: TpmClient, event: CodeEvent) -> None:
        """Log a start and measure it.

        Raises: AttestationError if the register holds something that no log explains: then only
        a reset of the machine helps.
        """
        with self._locked(fcntl.LOCK_EX):
            value = client.pcr_read(CODE_BANK, (CODE_REGISTER,))[CODE_REGISTER]
            before = _as_measured(self._read(), value)
            if before.full:
                raise AttestationError(
                    "too many workers were started on this machine for one log",
                    hint="reset the machine; then start the workers anew",
                )
            # The log comes first: after a crash in between, its last entry is known to be too much.
            self._write(CodeLog((*before.events, event)))
            client.pcr_extend(CODE_REGISTER, CODE_BANK, event.digest)

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        try:
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise AttestationError(
                f"the code log {self._path} cannot be locked: {error.strerror}",
                hint="name a file that the worker may write: --tpm-log",
            ) from None
        try:
            fcntl.flock(lock, how)
            yield
        finally:
            os.close(lock)

    def _read(self) -> CodeLog:
        try:
            with self._path.open("rb") as file:
                raw = file.read(_LARGEST)
        except FileNotFoundError:
            return CodeLog(())
        except OSError as error:
            raise AttestationError(
                f"the code log {self._path} cannot be read: {error.strerror}"
            ) from None
        try:
            return CodeLog.parse(raw)
        except EvidenceError as error:
            raise AttestationError(
                f"the code log {self._path} is damaged: {error}",
                hint="reset the machine and remove the file",
            ) from None

    def _write(self, log: CodeLog) -> None:
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("wb") as file:
                file.write(log.encode())
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise AttestationError(
                f"the code log {self._path} cannot be written: {error.strerror}",
                hint="name a file that the worker may write: --tpm-log",
            ) from None


def _as_measured(log: CodeLog, value: bytes) -> CodeLog:
    """The log as the register has it: as it is, without its last entry, or empty after a reset."""
    for found in (log, CodeLog(log.events[:-1]), CodeLog(())):
        if found.value() == value:
            return found
    raise AttestationError(
        f"register {CODE_REGISTER} of the TPM holds what no worker here has logged",
        hint="something else uses it, or the log was lost: reset the machine",
    )
