"""Evidence for a process that has given up its privileges, by a child that has kept them.

A worker gives up its files before it serves anybody, and yet collects evidence for each job. So it
starts this child first: a fork, made while the process has one thread, no engine and no secret.
All that ever passes between the two is a few bytes of one size one way, evidence or an error the
other way. What a stranger wrote, an owner's sealed secret, the child hands to the device as it is.
It ends when the worker does.

The child itself only passes questions on: each is answered by a process of its own, so that a
driver or a library that kills the process which asks it ends one answer and not the worker's use.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, Self

from mc2.attestation.cbor import Cbor, decode_cbor, encode_cbor
from mc2.attestation.claims import ActivatingCollector, Collector, RawEvidence
from mc2.attestation.collect.machine import REPORT_DATA_BYTES, check_report_data
from mc2.confine import keep_to_itself
from mc2.errors import AttestationError, EvidenceError, Mc2Error
from mc2.formats.release import CREDENTIAL_BLOB_BYTES, ENCRYPTED_SEED_BYTES

ANSWER_BYTES: Final = 560 * 1024  # twice in base64, it still fits what signed evidence may have
ANSWER_SECONDS: Final = 100.0  # SNP firmware may put a guest off for a minute
TIMEOUT_SECONDS: Final = ANSWER_SECONDS + 10.0  # the child refuses before the worker gives up

_COLLECT: Final = b"C"
_ACTIVATE: Final = b"A"
_SECRET_BYTES: Final = 32
_LENGTH_BYTES: Final = 4
_GONE: Final = "start the worker again; the kernel's log may say why its evidence process ended"
_AGAIN: Final = "start the job again; the kernel's log may say why the process ended"
_MOST: Final = _LENGTH_BYTES + ANSWER_BYTES + 1
_FIRST_INHERITED: Final = 3


class CollectorApart:
    """A collector that works in a process of its own. Only `start` makes one."""

    def __init__(self, collector: Collector, connection: socket.socket, process_id: int) -> None:
        self.kind = collector.kind
        self.tier = collector.tier
        self.process_id = process_id
        self._connection = connection
        self._broken = False

    @classmethod
    def start(cls, collector: Collector) -> Self:
        """Fork the child that collects. Raises: AttestationError if threads run already."""
        # A fork copies one thread, and the locks that the others hold for ever.
        if _threads() != 1:
            raise AttestationError("the evidence process must be started before any thread")
        ours, theirs = socket.socketpair()
        process_id = os.fork()
        if process_id == 0:
            _be_the_child(collector, theirs)
        theirs.close()
        ours.settimeout(TIMEOUT_SECONDS)
        return cls(collector, ours, process_id)

    def available(self) -> bool:
        """Whether the child still answers, as far as we know."""
        return not self._broken

    def collect(self, report_data: bytes) -> RawEvidence:
        """Evidence over 64 bytes. Raises: AttestationError."""
        check_report_data(report_data)
        return _read_answer(self._ask(_COLLECT + report_data), self.kind)

    def _ask(self, question: bytes) -> bytes:
        if self._broken:
            raise AttestationError("the evidence process is gone", hint=_GONE)
        try:
            self._connection.sendall(question)
            return self._receive()
        except OSError as error:
            self._give_up()
            what = "is gone" if not isinstance(error, TimeoutError) else "does not answer"
            raise AttestationError(f"the evidence process {what}", hint=_GONE) from None

    def close(self) -> None:
        """Let the child end, and wait for it."""
        self._give_up()
        os.waitpid(self.process_id, 0)

    def _receive(self) -> bytes:
        size = int.from_bytes(_take(self._connection, _LENGTH_BYTES), "big")
        if size > ANSWER_BYTES:
            self._give_up()
            raise AttestationError(f"the evidence has more than {ANSWER_BYTES} bytes")
        return _take(self._connection, size)

    def _give_up(self) -> None:
        # After half an answer, the next question would get the other half.
        self._broken = True
        self._connection.close()


class ActivatingCollectorApart(CollectorApart):
    """The same for a collector whose evidence owners complete by an activation."""

    def activate(self, blob: bytes, encrypted_seed: bytes) -> bytes:
        """Open an owner's secret. Raises: AttestationError."""
        if (len(blob), len(encrypted_seed)) != (CREDENTIAL_BLOB_BYTES, ENCRYPTED_SEED_BYTES):
            raise AttestationError("an activation has another size than it must")
        return _read_secret(self._ask(_ACTIVATE + blob + encrypted_seed))


def start_apart(collector: Collector) -> CollectorApart:
    """Fork a child that collects, and activates if the collector does.

    Raises: AttestationError if threads run already.
    """
    if isinstance(collector, ActivatingCollector):
        return ActivatingCollectorApart.start(collector)
    return CollectorApart.start(collector)


def _threads() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        raise AttestationError("the threads of this process cannot be counted") from None


def _take(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(size - len(found))
        if not part:
            raise ConnectionResetError
        found += part
    return bytes(found)


def _be_the_child(collector: Collector, connection: socket.socket) -> NoReturn:
    """Serve until the worker is gone. Never returns into the worker's code."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # an end comes from the worker's end
        # The worker's connection to its host must not stay open in here, nor its log.
        kept = connection.fileno()
        os.closerange(_FIRST_INHERITED, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        keep_to_itself()
        _serve(connection, collector)
    finally:
        os._exit(0)


def _serve(connection: socket.socket, collector: Collector) -> None:
    while True:
        if _take(connection, 1) == _COLLECT:
            report_data = _take(connection, REPORT_DATA_BYTES)
            work = partial(_evidence, collector, report_data)
        else:
            blob = _take(connection, CREDENTIAL_BLOB_BYTES)
            seed = _take(connection, ENCRYPTED_SEED_BYTES)
            work = partial(_activated, collector, blob, seed)
        answer = _answer_apart(connection, work)
        connection.sendall(len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)


def _answer_apart(connection: socket.socket, work: Callable[[], dict[int | str, Cbor]]) -> bytes:
    """The answer of a process that ends with it; a refusal if it ends without, or takes long."""
    reading, writing = os.pipe()
    process_id = os.fork()
    if process_id == 0:
        try:
            connection.close()  # only the answering process may write there
            os.close(reading)
            answer = _answer(work)
            _write_all(writing, len(answer).to_bytes(_LENGTH_BYTES, "big") + answer)
        finally:
            os._exit(0)
    os.close(writing)
    try:
        found = _read_all(reading, _MOST, time.monotonic() + ANSWER_SECONDS)
    finally:
        os.close(reading)
        os.kill(process_id, signal.SIGKILL)  # not waited for yet, so it is still this process
        _, status = os.waitpid(process_id, 0)
    if found is None:
        return _refusal(f"no evidence came in {ANSWER_SECONDS:g} seconds", _AGAIN)
    if len(found) >= _MOST:
        return _refusal(f"the evidence has more than {ANSWER_BYTES} bytes", "")
    size, answer = int.from_bytes(found[:_LENGTH_BYTES], "big"), found[_LENGTH_BYTES:]
    if len(found) < _LENGTH_BYTES or len(answer) != size:
        ended = os.waitstatus_to_exitcode(status)
        return _refusal(f"the process that collects evidence ended by itself ({ended})", _AGAIN)
    return answer


def _write_all(descriptor: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_all(descriptor: int, most: int, deadline: float) -> bytes | None:
    """All until the other end is closed, or `most`; None if that takes too long."""
    found = bytearray()
    while len(found) < most:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        part = os.read(descriptor, 65536)
        if not part:
            break
        found += part
    return bytes(found)


def _answer(work: Callable[[], dict[int | str, Cbor]]) -> bytes:
    try:
        return encode_cbor(work())
    except Mc2Error as error:
        return _refusal(str(error), error.hint)
    except Exception as error:  # noqa: BLE001  a defect of ours: the next job may fare better
        return _refusal(f"collecting evidence failed with {type(error).__name__}", "")


def _evidence(collector: Collector, report_data: bytes) -> dict[int | str, Cbor]:
    raw = collector.collect(report_data)
    named: dict[int | str, Cbor] = dict(raw.endorsements.items())
    return {"kind": raw.kind, "evidence": raw.evidence, "endorsements": named}


def _activated(collector: Collector, blob: bytes, seed: bytes) -> dict[int | str, Cbor]:
    if not isinstance(collector, ActivatingCollector):
        raise AttestationError("this machine has nothing to activate")
    return {"secret": collector.activate(blob, seed)}


def _refusal(message: str, hint: str) -> bytes:
    return encode_cbor({"error": message, "hint": hint})


def _decode(raw: bytes) -> Cbor:
    try:
        return decode_cbor(raw, "the answer of the evidence process")
    except EvidenceError:
        return None


def _read_secret(raw: bytes) -> bytes:
    match _decode(raw):
        case {"secret": bytes() as secret} if len(secret) == _SECRET_BYTES:
            return secret
        case {"error": str() as message, "hint": str() as hint}:
            raise AttestationError(message, hint=hint)
        case _:
            raise AttestationError("the TPM opened something that is no secret of ours")


def _read_answer(raw: bytes, kind: str) -> RawEvidence:
    match _decode(raw):
        case {"kind": found, "evidence": bytes() as evidence, "endorsements": dict() as named} if (
            found == kind
        ):
            return RawEvidence(kind, evidence, _endorsements(named))
        case {"error": str() as message, "hint": str() as hint}:
            raise AttestationError(message, hint=hint)
        case _:
            raise AttestationError("the evidence process answered with something else", hint=_GONE)


def _endorsements(named: Mapping[int | str, Cbor]) -> dict[str, bytes]:
    found = {n: raw for n, raw in named.items() if isinstance(n, str) and isinstance(raw, bytes)}
    if len(found) != len(named):
        raise AttestationError("the evidence process answered with something else", hint=_GONE)
    return found
