"""A process that gave up everything collects all the same, through the child it started first."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from mc2.attestation.cbor import Cbor, encode_cbor
from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect import apart
from mc2.attestation.collect.apart import ANSWER_BYTES, CollectorApart
from mc2.errors import AttestationError, EvidenceError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="confinement is for Linux")

DATA = bytes(range(64))

CONFINED = r"""
import json, os, sys
from tests.support.amd_hierarchy import NOW, Amd
from tests.support.fake_tee import FakeSevGuest, certificate_table, snp_machine
from mc2.attestation.collect.apart import CollectorApart
from mc2.attestation.collect.configfs_tsm import SnpTsmCollector
from mc2.attestation.collect.sev_guest import SevGuestCollector
from mc2.attestation.snp.verify import SnpVerifier
from mc2.confine import confine
from mc2.errors import AttestationError

amd = Amd(revoked=())
amd.evidence()  # its keys and certificates, which the verifier below would otherwise wait for
class Opening:
    "A machine that opens a real file each time, which only the child can do."
    def __init__(self, machine):
        self.machine = machine
    def __getattr__(self, name):
        def act(*arguments):
            open("/etc/passwd").close()
            return getattr(self.machine, name)(*arguments)
        return act

secret = os.open("/etc/passwd", os.O_RDONLY)
machines = [Opening(snp_machine(amd)), Opening(FakeSevGuest(amd, certificate_table(amd)))]
collectors = [SnpTsmCollector(machines[0]), SevGuestCollector(machines[1])]
apart = [CollectorApart.start(c) for c in collectors]
warm = [c.collect(bytes(64)) for c in apart]
SnpVerifier(amd.pins()).verify(warm[0], at=NOW)
children = [c.process_id for c in apart]
held = [sorted(os.readlink(f"/proc/{p}/fd/{n}") for n in os.listdir(f"/proc/{p}/fd"))
        for p in children]
status = [dict(line.split(":\t", 1) for line in open(f"/proc/{p}/status")) for p in children]
confine(allow_threads=True, memory_bytes=None, cpu_seconds=None)
try:
    collectors[0].collect(bytes(64))
except AttestationError as error:
    direct = str(error)
said = []
for number in range(20):
    data = bytes([number]) * 64
    raw = apart[number % 2].collect(data)
    claims = SnpVerifier(amd.pins()).verify(raw, at=NOW)
    said.append(claims.report_data == data and sorted(raw.endorsements) == ["ark","ask","crl","vcek"])
os.write(1, json.dumps({"direct": direct, "said": said, "held": held,
    "no_new_privs": [s["NoNewPrivs"].strip() for s in status], "children": children}).encode())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def gone(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    # A zombie that nobody waited for is gone too.
    return status.rpartition(")")[2].split()[0] == "Z"


def test_a_confined_process_collects_evidence_that_verifies() -> None:
    done = run(CONFINED)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "Operation not permitted" in found["direct"]
    assert found["said"] == [True] * 20
    assert found["no_new_privs"] == ["1", "1"]
    for held in found["held"]:
        assert len([name for name in held if name.startswith("socket:")]) == 1
        assert "/etc/passwd" not in held
    deadline = time.monotonic() + 10
    while not all(gone(child) for child in found["children"]):  # they end with their worker
        assert time.monotonic() < deadline
        time.sleep(0.01)


FAILING = r"""
from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.apart import CollectorApart
from mc2.errors import AttestationError
import os, signal

class Collector:
    kind, tier = "test/v1", Tier.SIMULATED
    def available(self):
        return True
    def collect(self, report_data):
        first = report_data[0]
        if first == 1:
            raise AttestationError("no luck", hint="try again")
        if first == 2:
            raise ValueError("a secret")
        if first == 3:
            return RawEvidence("test/v1", b"x" * (1 << 20))
        if first == 4:
            return RawEvidence("other/v1", b"x")
        if first == 5:
            os._exit(3)
        if first == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return RawEvidence("test/v1", report_data, {"log": b"l" * 500_000, "empty": b""})

apart = CollectorApart.start(Collector())
def ask(first):
    try:
        raw = apart.collect(bytes([first]) * 64)
    except AttestationError as error:
        return f"{error} | {error.hint}"
    return f"{len(raw.evidence)} {sorted(raw.endorsements)} {len(raw.endorsements['log'])}"
for first in (0, 1, 2, 3, 4, 0, 5, 6, 0):
    print(ask(first))
print(apart.available())
os.kill(apart.process_id, signal.SIGKILL)
print(ask(0))
print(ask(0))
print(apart.available())
apart.close()
print(apart.kind, apart.tier.word)
"""


def test_errors_cross_over_and_the_end_of_an_answer_is_not_the_end() -> None:
    done = run(FAILING)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    good, refusal, defect, large, other, again, exited, killed, after, available = lines[:10]
    gone, still_gone, broken, last = lines[10:]
    assert good == again == after == "64 ['empty', 'log'] 500000"
    assert refusal == "no luck | try again"
    assert "ValueError" in defect
    assert "secret" not in done.stdout
    assert f"more than {ANSWER_BYTES} bytes" in large
    assert "something else" in other
    assert "ended by itself (3)" in exited
    assert "ended by itself (-9)" in killed
    assert "start the job again" in killed
    assert available == "True"
    # Only the end of the process that passes questions on is final.
    assert "is gone" in gone
    assert "is gone" in still_gone
    assert broken == "False"
    assert last == "test/v1 simulated"


SLOW = r"""
import time
from mc2.attestation.claims import Tier
from mc2.attestation.collect import apart
from mc2.errors import AttestationError

apart.ANSWER_SECONDS = 0.2

class Collector:
    kind, tier = "test/v1", Tier.SIMULATED
    def collect(self, report_data):
        time.sleep(3600)

collector = apart.CollectorApart.start(Collector())
for _ in range(2):
    try:
        collector.collect(bytes(64))
    except AttestationError as error:
        print(error)
collector.close()
"""


def test_a_device_that_hangs_costs_one_answer() -> None:
    done = run(SLOW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("no evidence came in 0.2 seconds") == 2


class Never:
    kind, tier = "test/v1", Tier.SIMULATED

    def available(self) -> bool:
        return True

    def collect(self, report_data: bytes) -> NoReturn:
        raise AssertionError


def test_is_refused_once_there_are_threads() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        with pytest.raises(AttestationError, match="before any thread"):
            CollectorApart.start(Never())
    finally:
        stop.set()
        thread.join()


# --- the worker's side alone: what it does with answers that our child would never give -------


def answered(raw: bytes, *, cut: int = 0) -> tuple[CollectorApart, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    whole = len(raw).to_bytes(4, "big") + raw
    theirs.sendall(whole[: len(whole) - cut])
    if cut:
        theirs.shutdown(socket.SHUT_WR)
    return CollectorApart(Never(), ours, 0), theirs


GOOD: dict[int | str, Cbor] = {"kind": "test/v1", "evidence": b"e", "endorsements": {"a": b"b"}}


def test_reads_a_good_answer() -> None:
    collector, theirs = answered(encode_cbor(GOOD))
    assert collector.collect(DATA) == RawEvidence("test/v1", b"e", {"a": b"b"})
    assert theirs.recv(1000) == b"C" + DATA
    collector._give_up()
    theirs.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        encode_cbor(GOOD) + b"\0",
        encode_cbor({**GOOD, "kind": "other/v1"}),
        encode_cbor({**GOOD, "evidence": "text"}),
        encode_cbor({**GOOD, "endorsements": {"a": "text"}}),
        encode_cbor({**GOOD, "endorsements": {1: b"b"}}),
        encode_cbor({**GOOD, "endorsements": []}),
        encode_cbor({"error": 1, "hint": ""}),
        encode_cbor({"error": "no hint"}),
        encode_cbor([]),
        encode_cbor(None),
    ],
)
def test_odd_answers_are_refused(raw: bytes) -> None:
    collector, theirs = answered(raw)
    with pytest.raises(AttestationError, match="something else") as caught:
        collector.collect(DATA)
    assert not isinstance(caught.value, EvidenceError)
    collector._give_up()
    theirs.close()


def test_a_cut_or_endless_answer_ends_it() -> None:
    for raw, cut, words in ((encode_cbor(GOOD), 1, "is gone"), (b"", 4, "is gone")):
        collector, theirs = answered(raw, cut=cut)
        with pytest.raises(AttestationError, match=words):
            collector.collect(DATA)
        assert not collector.available()
        theirs.close()
    ours, theirs = socket.socketpair()
    theirs.sendall((ANSWER_BYTES + 1).to_bytes(4, "big"))
    collector = CollectorApart(Never(), ours, 0)
    with pytest.raises(AttestationError, match="more than"):
        collector.collect(DATA)
    assert not collector.available()
    theirs.close()


def test_silence_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(0.05)
    collector = CollectorApart(Never(), ours, 0)
    with pytest.raises(AttestationError, match="does not answer"):
        collector.collect(DATA)
    with pytest.raises(AttestationError, match="is gone"):
        collector.collect(DATA)
    theirs.close()


def test_report_data_have_64_bytes() -> None:
    collector, theirs = answered(encode_cbor(GOOD))
    with pytest.raises(AttestationError, match="64 bytes"):
        collector.collect(DATA[:63])
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    collector._give_up()
    theirs.close()


def test_the_timeout_is_longer_than_firmware_may_take_and_shorter_than_the_coordinators() -> None:
    from mc2.coordinator.workers import SHORT_SECONDS

    assert 60 < apart.TIMEOUT_SECONDS < SHORT_SECONDS
