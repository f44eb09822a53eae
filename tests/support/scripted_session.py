"""An enclave without engines: a session that does as its bundle says, and a process around it.

Tests of the wire and of the worker pool need an enclave that starts at once and fails on demand.
Run as a program it serves the real protocol with the real `Server`, like `mc2-enclave`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping

from mc2.crypto.digest import Digest, digest
from mc2.enclave.channel import Channel
from mc2.enclave.cluster_server import TURN_SECONDS
from mc2.enclave.listener import listen
from mc2.enclave.server import Server
from mc2.errors import AttestationError, EngineError, JobError, PlanError
from mc2.formats.address import parse_address
from mc2.formats.canonical import encode
from mc2.formats.other_workers import OtherWorkers
from mc2.formats.worker import JobOutcome, OpenedJob, Ready

READY = Ready(
    boot_id="00" * 16, kind="test/v1", tier="simulated", code={}, packages={}, warnings=("TEST",)
)
CHUNK = b"a sealed chunk"
INVITATION = encode({"invitation": True})
PROBE = encode({"probe": True})
TOKEN = b"\x70" * 32
RECEIPT = encode({"receipt": True})
SECRET = "a value of some patient"


class ScriptedSession:
    """Obeys the order of a session; its bundle is the name of what goes wrong, if anything."""

    def __init__(self) -> None:
        self.steps = 0
        self.ended = False
        self.script = ""

    def open(self, bundle: bytes) -> OpenedJob:
        self._step(1)
        self.script = bundle.decode()
        if self.script == "bad plan":
            raise self._dead(PlanError("the plan is wrong", hint="compile it again"))
        return OpenedJob(("ada", "bo"))

    def attest(self, challenges: Mapping[str, bytes]) -> bytes:
        self._step(2)
        if self.script == "die in attest":
            os._exit(3)
        if self.script == "hang in attest":
            time.sleep(60)
        return b"evidence for " + b",".join(n.encode() for n in challenges)

    def run(
        self,
        grants: Mapping[str, bytes],
        read_chunk: Callable[[Digest], bytes],
        write_chunk: Callable[[Digest, bytes], None],
        progress: Callable[[str], None],
        workers: OtherWorkers,
    ) -> JobOutcome:
        self._step(3)
        if self.script in ("cluster", "cluster of machines"):
            joined = workers.gather(INVITATION)
            if self.script == "cluster of machines":
                joined = {n: joined[n] for n in workers.probe(dict.fromkeys(joined, PROBE))}
            progress(" ".join(workers.admit(joined)))
        if self.script == "defect":
            raise self._dead(ValueError(SECRET))
        progress("reading")
        found = read_chunk(digest(CHUNK))
        if self.script == "compute":
            time.sleep(60)
        if found != CHUNK:
            raise self._dead(EngineError("that was another chunk"))
        write_chunk(digest(found[::-1]), found[::-1])
        self.ended = True
        return JobOutcome(RECEIPT, dict.fromkeys(grants, RECEIPT))

    def join(
        self, challenges: Mapping[str, bytes], leader_evidence: bytes, invitation: bytes
    ) -> bytes:
        self._step(2)
        return encode({"challenges": sorted(challenges), "invited": invitation == INVITATION})

    def prove(self, probe: bytes) -> bytes:
        assert probe == PROBE
        return TOKEN

    def enter(self, admission: bytes) -> object:
        self._step(3)
        if self.script == "not admitted":
            raise self._dead(AttestationError("another roster"))
        return admission

    def close(self) -> None:
        self.ended = True

    def _step(self, number: int) -> None:
        if self.ended or self.steps != number - 1:
            raise self._dead(JobError("out of order"))
        self.steps = number

    def _dead(self, error: Exception) -> Exception:
        self.ended = True
        return error


def scripted_server(
    log: Callable[[str], None] = lambda _: None, turn_seconds: int = TURN_SECONDS
) -> Server:
    """A real server around scripted sessions."""
    return Server(ScriptedSession, READY, log, turn_seconds)


def main() -> None:
    """Serve an address as `mc2-enclave` does."""
    if "--fail" in sys.argv:
        sys.exit(7)
    listener = listen(parse_address(sys.argv[sys.argv.index("--listen") + 1]))
    print("serving", flush=True)
    for connection in listener.connections():
        channel = Channel(connection)
        if listener.inherited:
            channel.when_host_is_gone(lambda: os._exit(0))
        scripted_server().serve(channel)


if __name__ == "__main__":
    main()
