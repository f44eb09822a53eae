"""End to end with a true TPM implementation: Debian's swtpm, over its socket."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.swtpm import SoftwareTpm, needs_swtpm, software_tpm

from mc2.attestation.appraisal import appraise_to_activate
from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier
from mc2.attestation.pem import split_pem
from mc2.attestation.policy import AttestationPolicy
from mc2.attestation.tpm import KIND, commands
from mc2.attestation.tpm.client import TpmClient
from mc2.attestation.tpm.collector import TpmCollector
from mc2.attestation.tpm.credential import make_credential
from mc2.attestation.tpm.eventlog import replay
from mc2.attestation.tpm.structures import check_attestation_key, parse_public
from mc2.attestation.tpm.transport import SocketTransport
from mc2.attestation.tpm.verify import TpmVerifier, own_key
from mc2.attestation.x509 import parse_certificate
from mc2.crypto.digest import digest
from mc2.errors import AppraisalError, AttestationError, EvidenceError

pytestmark = needs_swtpm

SELECTED = (0, 7, 11)
REPORT_DATA = b"R" * 64
MEASURED = hashlib.sha256(b"the enclave's code").digest()


@pytest.fixture
def tpm(tmp_path: Path) -> SoftwareTpm:
    return software_tpm(tmp_path)


def now() -> datetime:
    """swtpm's certificates begin when they are made, a moment ago."""
    return datetime.now(UTC)


def boot(path: Path, code: bytes = MEASURED) -> None:
    """What firmware does: start the TPM, and measure what it runs next."""
    with SocketTransport(path) as transport:
        client = TpmClient(transport)
        client.startup()
        client.pcr_extend(11, "sha256", code)


def collector(tpm: SoftwareTpm, path: Path) -> TpmCollector:
    return TpmCollector(path, chain=tpm.chain(), bank="sha256", selected=SELECTED, event_log=None)


def policy(tpm: SoftwareTpm, **changes: object) -> AttestationPolicy:
    zeros = (bytes(32)).hex()
    section = {
        "roots": [digest(split_pem(tpm.chain(), "", most=2)[-1])],
        "origins": ["activated"],
        "code": "any",
        "resets": "any",
        "bank": "sha256",
        "pcrs": {"0": [zeros], "7": [zeros], "11": [replay((MEASURED,), "sha256").hex()]},
        "events": {},
        "require_event_log": False,
        "require_safe_clock": False,
        "max_restarts": 0,
        "firmware": "any",
        "platforms": "any",
        "denied_platforms": [],
        **changes,
    }
    return AttestationPolicy.read({KIND: section})


def verify(tpm: SoftwareTpm, raw: RawEvidence) -> ClaimsToActivate:
    found = TpmVerifier(tpm.pins()).verify(raw, at=now())
    assert isinstance(found, ClaimsToActivate)
    return found


def refused(tpm: SoftwareTpm, raw: RawEvidence, **changes: object) -> list[str]:
    """The rules that appraisal says are broken."""
    with pytest.raises(AppraisalError) as caught:
        appraise_to_activate(
            verify(tpm, raw), policy(tpm, **changes), Tier.MEASURED_BOOT, REPORT_DATA
        )
    return [rule.split(":")[0] for rule in caught.value.failures]


def test_a_measured_enclave_is_accepted_and_activated(tpm: SoftwareTpm) -> None:
    with tpm.powered() as path:
        boot(path)
        raw = collector(tpm, path).collect(REPORT_DATA)
        good = appraise_to_activate(verify(tpm, raw), policy(tpm), Tier.MEASURED_BOOT, REPORT_DATA)
        blob, seed = good.key.credential(b"s" * 32, os.urandom(32))
        assert collector(tpm, path).activate(blob, seed) == b"s" * 32
    assert good.tier is Tier.MEASURED_BOOT
    claims = verify(tpm, raw).claims
    assert claims.platform_id.startswith("ek:")
    assert claims.details["hierarchy"] == "endorsement"
    assert verify(tpm, raw).key == own_key(raw)


def test_other_code_is_refused(tpm: SoftwareTpm) -> None:
    with tpm.powered() as path:
        boot(path, hashlib.sha256(b"the enclave's code, changed").digest())
        raw = collector(tpm, path).collect(REPORT_DATA)
    assert refused(tpm, raw) == ["PCR11"]


def test_what_is_measured_later_is_refused(tpm: SoftwareTpm) -> None:
    with tpm.powered() as path:
        boot(path)
        with SocketTransport(path) as transport:
            TpmClient(transport).pcr_extend(7, "sha256", b"x" * 32)
        raw = collector(tpm, path).collect(REPORT_DATA)
    assert refused(tpm, raw) == ["PCR7"]


def test_a_replayed_quote_is_refused(tpm: SoftwareTpm) -> None:
    with tpm.powered() as path:
        boot(path)
        raw = collector(tpm, path).collect(b"another attempt".ljust(64))
    assert refused(tpm, raw) == ["binding"]


def test_a_reset_is_counted_and_the_key_is_the_same_after_it(tpm: SoftwareTpm) -> None:
    with tpm.powered() as path:
        boot(path)
        before = collector(tpm, path).machine()
        first = verify(tpm, collector(tpm, path).collect(REPORT_DATA)).claims
    with tpm.powered() as path:
        boot(path)
        raw = collector(tpm, path).collect(REPORT_DATA)
    again = verify(tpm, raw).claims
    assert before.reset_count == first.details["reset_count"]
    assert again.details["reset_count"] == before.reset_count + 1
    assert again.details["ak_name"] == first.details["ak_name"]
    accepted = {before.platform: [before.reset_count, before.reset_count]}
    assert refused(tpm, raw, resets=accepted) == ["resets"]


def test_a_secret_for_one_tpm_does_not_open_in_another(tpm: SoftwareTpm, tmp_path: Path) -> None:
    other = software_tpm(tmp_path, 1)
    with tpm.powered() as path:
        boot(path)
        key = own_key(collector(tpm, path).collect(REPORT_DATA))
    with other.powered() as path:
        boot(path)
        enclave = collector(other, path)
        with pytest.raises(AttestationError, match="not for this TPM"):
            enclave.activate(*key.credential(b"s" * 32, os.urandom(32)))
        # The other TPM's own key, in a secret that is sealed to the first TPM.
        raw = enclave.collect(REPORT_DATA)
        mixed = replace(own_key(raw), endorsement_spki=key.endorsement_spki)
        with pytest.raises(AttestationError, match="not for this TPM"):
            enclave.activate(*mixed.credential(b"s" * 32, os.urandom(32)))
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            verify(tpm, raw)


def test_a_challenge_for_another_key_does_not_open(tpm: SoftwareTpm) -> None:
    with tpm.client() as client:
        certificate = client.nv_read(commands.EK_CERTIFICATE_INDEX)
        assert certificate is not None
        spki = parse_certificate(certificate, "the certificate").spki
        with client.endorsement_key() as endorsement, client.attestation_key() as key:
            name = parse_public(key.public).name
            right = make_credential(spki, name, b"s" * 32, os.urandom(32))
            assert client.activate_credential(key, endorsement, right) == b"s" * 32
            wrong = make_credential(
                spki, name[:-1] + bytes([name[-1] ^ 1]), b"s" * 32, os.urandom(32)
            )
            with pytest.raises(AttestationError, match="not for this key"):
                client.activate_credential(key, endorsement, wrong)


def test_the_certificate_in_the_tpm_is_for_the_key_in_the_tpm(tpm: SoftwareTpm) -> None:
    with tpm.client() as client:
        certificate = client.nv_read(commands.EK_CERTIFICATE_INDEX)
        assert certificate is not None
        with client.endorsement_key() as endorsement:
            made = parse_public(endorsement.public).spki
    assert parse_certificate(certificate, "the certificate").spki == made


def test_keys_do_not_fill_the_tpms_three_slots(tpm: SoftwareTpm) -> None:
    with tpm.client() as client:
        names = set()
        for _ in range(5):
            with client.attestation_key() as key:
                public = parse_public(key.public)
                check_attestation_key(public)
                names.add(public.name)
                assert client.read_public(key.handle).public == key.public
    assert len(names) == 1


def test_registers_are_read_and_extended(tpm: SoftwareTpm) -> None:
    with tpm.client() as client:
        before = client.pcr_read("sha256", range(24))
        assert len(before) == 24
        client.pcr_extend(11, "sha256", MEASURED)
        client.pcr_extend(11, "sha256", MEASURED)
        after = client.pcr_read("sha256", (11,))
        assert after[11] == replay((MEASURED, MEASURED), "sha256", start=before[11])
        assert client.nv_read(0x01400001) is None
        assert len(client.get_random(16)) == 16
        with pytest.raises(AttestationError, match="does not keep the bank sha384"):
            client.pcr_read("sha384", (0,))


def test_a_started_tpm_can_be_started_again(tpm: SoftwareTpm) -> None:
    with tpm.client() as client:
        client.startup()


def test_an_event_log_travels_with_the_quote(tpm: SoftwareTpm, tmp_path: Path) -> None:
    log = tmp_path / "binary_bios_measurements"
    header = b"Spec ID Event03\0" + bytes(8) + b"\1\0\0\0" + b"\x0b\0\x20\0" + b"\0"
    raw_log = bytes(4) + b"\3\0\0\0" + bytes(20) + len(header).to_bytes(4, "little") + header
    raw_log += b"\x0b\0\0\0" + b"\x0d\0\0\0" + b"\1\0\0\0" + b"\x0b\0" + MEASURED + bytes(4)
    log.write_bytes(raw_log)
    with tpm.powered() as path:
        boot(path)
        enclave = TpmCollector(
            path, chain=tpm.chain(), bank="sha256", selected=SELECTED, event_log=log
        )
        raw = enclave.collect(REPORT_DATA)
        found = verify(tpm, raw)
        assert found.claims.details["events"] == {"11": [MEASURED.hex()]}
        rules = policy(tpm, events={"11": [MEASURED.hex()]}, require_event_log=True)
        appraise_to_activate(found, rules, Tier.MEASURED_BOOT, REPORT_DATA)
        log.write_bytes(raw_log.replace(MEASURED, bytes(32)))
        with pytest.raises(EvidenceError, match="does not explain register 11"):
            verify(tpm, enclave.collect(REPORT_DATA))
        log.unlink()
        with pytest.raises(AttestationError, match="cannot be read"):
            enclave.collect(REPORT_DATA)


def test_over_tcp(tpm: SoftwareTpm) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            "swtpm",
            "socket",
            "--tpm2",
            "--tpmstate",
            f"dir={tpm.state}",
            "--server",
            f"type=tcp,port={port}",
            "--flags",
            "not-need-init",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        transport = _connect(("127.0.0.1", port))
        with transport:
            client = TpmClient(transport)
            client.startup()
            assert len(client.get_random(8)) == 8
    finally:
        process.terminate()
        process.wait(10)


def _connect(address: tuple[str, int]) -> SocketTransport:
    for _ in range(500):
        try:
            return SocketTransport(address)
        except AttestationError:
            time.sleep(0.01)
    raise AssertionError("swtpm does not listen")
