"""The log of what workers measured, and the register that has the last word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mc2.attestation.tpm.code_file import CodeLogFile
from mc2.attestation.tpm.code_log import CODE_REGISTER, CodeEvent, CodeLog, predicted_value
from mc2.attestation.tpm.eventlog import replay
from mc2.errors import AttestationError, EvidenceError

A, B = CodeEvent({"mc2": "aa" * 32}), CodeEvent({"mc2": "bb" * 32})


class Register:
    """A TPM with one register."""

    def __init__(self) -> None:
        self.value = bytes(32)
        self.broken = False

    def pcr_read(self, bank: str, selected: tuple[int, ...]) -> dict[int, bytes]:
        assert (bank, selected) == ("sha256", (CODE_REGISTER,))
        return {CODE_REGISTER: self.value}

    def pcr_extend(self, number: int, bank: str, digest: bytes) -> None:
        assert (number, bank) == (CODE_REGISTER, "sha256")
        if self.broken:
            raise AttestationError("the power went")
        self.value = replay((digest,), bank, start=self.value)


@pytest.fixture
def log(tmp_path: Path) -> CodeLogFile:
    return CodeLogFile(tmp_path / "run" / "log.json")


def starts(log: CodeLogFile) -> tuple[CodeEvent, ...]:
    with log.held() as found:
        return found.events


def test_each_start_is_logged_and_measured(log: CodeLogFile) -> None:
    tpm: Any = Register()
    for event in (A, B, A):
        log.extend(tpm, event)
    assert starts(log) == (A, B, A)
    assert tpm.value.hex() == predicted_value(A, B, A)


def test_a_reset_begins_a_new_log(log: CodeLogFile) -> None:
    log.extend(Register(), A)  # type: ignore[arg-type]  # what it needs of a client
    tpm: Any = Register()
    log.extend(tpm, B)
    assert starts(log) == (B,)


def test_a_crash_between_log_and_register_is_mended(log: CodeLogFile) -> None:
    tpm: Any = Register()
    log.extend(tpm, A)
    tpm.broken = True
    with pytest.raises(AttestationError, match="power"):
        log.extend(tpm, B)
    tpm.broken = False
    log.extend(tpm, A)
    assert starts(log) == (A, A)
    assert tpm.value.hex() == predicted_value(A, A)


def test_a_register_that_no_log_explains_is_refused(log: CodeLogFile) -> None:
    tpm: Any = Register()
    tpm.value = b"x" * 32
    with pytest.raises(AttestationError, match="no worker here has logged"):
        log.extend(tpm, A)


def test_a_damaged_log_is_named(log: CodeLogFile, tmp_path: Path) -> None:
    log.extend(Register(), A)  # type: ignore[arg-type]  # what it needs of a client
    (tmp_path / "run" / "log.json").write_bytes(b"{}")
    with pytest.raises(AttestationError, match="damaged"):
        starts(log)


def test_a_log_has_an_end(log: CodeLogFile) -> None:
    tpm: Any = Register()
    for _ in range(256):
        log.extend(tpm, A)
    with pytest.raises(AttestationError, match="too many workers"):
        log.extend(tpm, A)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b'{"register":12,"starts":[],"type":"mc2/tpm-code-log/v1"}',
        b'{"register":13,"starts":[{}],"type":"mc2/tpm-code-log/v1"}',
        b'{"register":13,"starts":[{"mc2":"aa"}],"type":"mc2/tpm-code-log/v1"}',
        b'{"register":13,"starts":[{"M c":"' + b"a" * 64 + b'"}],"type":"mc2/tpm-code-log/v1"}',
        b'{"register": 13,"starts":[],"type":"mc2/tpm-code-log/v1"}',
    ],
)
def test_logs_are_read_strictly(raw: bytes) -> None:
    with pytest.raises(EvidenceError):
        CodeLog.parse(raw)


def test_a_digest_is_of_all_parts() -> None:
    both = CodeEvent({"mc2": "aa" * 32, "python": "bb" * 32})
    assert len({A.digest, B.digest, both.digest}) == 3
    assert CodeLog.parse(CodeLog((A, both)).encode()).events == (A, both)
