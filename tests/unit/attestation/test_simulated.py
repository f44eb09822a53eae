"""Simulated evidence: works like the real thing, and can never pass for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.simulated.collector import SimulatedCollector
from mc2.attestation.simulated.report import KIND, SimulatedEvidence, measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.attestation.simulated.verifier import SimulatedVerifier
from mc2.attestation.verifiers import Verifiers
from mc2.crypto.digest import digest
from mc2.errors import AttestationError, EvidenceError, FormatError, UsageError
from mc2.formats.canonical import encode

AT = datetime(2026, 3, 1, tzinfo=UTC)
DATA = bytes(range(64))
CODE = measure({"mc2": "0.1.0"})
ROOT = SimulatedRoot.make()


def collect(root=ROOT, data=DATA):
    return SimulatedCollector(root, CODE, "demo_worker").collect(data)


def altered(raw, change):
    value = json.loads(raw.evidence)
    change(value)
    return RawEvidence(KIND, encode(value), raw.endorsements)


def test_claims_are_those_of_the_report():
    claims = SimulatedVerifier(ROOT.digest).verify(collect(), at=AT)
    assert claims.kind == "mc2-simulated/v1"
    assert claims.tier is Tier.SIMULATED
    assert claims.measurements == {"MEASUREMENT": CODE}
    assert claims.report_data == DATA
    assert claims.platform_id == "demo_worker"
    assert claims.details["root"] == ROOT.digest
    assert not claims.debug


def test_every_evidence_has_a_name_of_its_own():
    verifier = SimulatedVerifier(ROOT.digest)
    names = {verifier.verify(collect(), at=AT).evidence_digest for _ in range(3)}
    assert len(names) == 3


def test_the_name_does_not_depend_on_the_signature():
    first = SimulatedEvidence.parse(collect().evidence)
    again = SimulatedEvidence(
        report=first.report, root=ROOT.public, signature=ROOT.sign(first.report.signed_bytes())
    )
    assert again.encode() != first.encode()
    verifier = SimulatedVerifier(ROOT.digest)
    names = {
        verifier.verify(RawEvidence(KIND, e.encode()), at=AT).evidence_digest
        for e in (first, again)
    }
    assert len(names) == 1


def test_refuses_another_root():
    with pytest.raises(EvidenceError, match="another simulation's root"):
        SimulatedVerifier(ROOT.digest).verify(collect(SimulatedRoot.make()), at=AT)


def test_refuses_a_report_signed_by_another_root_in_the_right_one_s_name():
    other = SimulatedEvidence.parse(collect(SimulatedRoot.make()).evidence)
    forged = SimulatedEvidence(report=other.report, root=ROOT.public, signature=other.signature)
    with pytest.raises(EvidenceError, match="not signed"):
        SimulatedVerifier(ROOT.digest).verify(RawEvidence(KIND, forged.encode()), at=AT)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["report"].update(measurement="00" * 48),
        lambda v: v["report"].update(platform="other"),
        lambda v: v["report"].update(serial="00" * 16),
        lambda v: v["report"].update(report_data=v["report"]["report_data"].replace("A", "B", 1)),
        lambda v: v["report"].update(notice="genuine hardware"),
        lambda v: v["report"].update(type="mc2/report/v1"),
        lambda v: v["report"].pop("serial"),
        lambda v: v["report"].update(extra=1),
        lambda v: v.update(signature=v["signature"][:-8]),
        lambda v: v.update(signature="A" * 128),
        lambda v: v.update(root="A" * 132),
        lambda v: v.update(type="mc2/evidence/v1"),
        lambda v: v.update(extra=1),
    ],
)
def test_refuses_every_alteration(change):
    with pytest.raises(EvidenceError):
        SimulatedVerifier(ROOT.digest).verify(altered(collect(), change), at=AT)


@given(st.data())
def test_refuses_any_flipped_bit(data):
    raw = bytearray(collect().evidence)
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(EvidenceError):
        SimulatedVerifier(ROOT.digest).verify(RawEvidence(KIND, bytes(raw)), at=AT)


@given(st.binary(max_size=300))
def test_refuses_junk(junk):
    with pytest.raises(EvidenceError):
        SimulatedVerifier(ROOT.digest).verify(RawEvidence(KIND, junk), at=AT)


@pytest.mark.parametrize("raw", [b"\x02\0\0\0" + bytes(1180), b"HCLA" + bytes(2596), b" {}"])
def test_refuses_what_looks_like_hardware_or_has_another_encoding(raw):
    with pytest.raises(EvidenceError):
        SimulatedVerifier(ROOT.digest).verify(RawEvidence(KIND, raw), at=AT)


def test_refuses_other_kinds_and_endorsements():
    verifier = SimulatedVerifier(ROOT.digest)
    evidence = collect().evidence
    with pytest.raises(EvidenceError, match="kind"):
        verifier.verify(RawEvidence("sev-snp", evidence), at=AT)
    with pytest.raises(EvidenceError, match="endorsements"):
        verifier.verify(RawEvidence(KIND, evidence, {"vcek": b"x"}), at=AT)


def test_a_verifier_must_be_told_its_root():
    with pytest.raises(UsageError):
        SimulatedVerifier()


@pytest.mark.parametrize("length", [0, 32, 63, 65])
def test_collects_over_64_bytes_only(length):
    with pytest.raises(AttestationError):
        collect(data=bytes(length))


def test_a_measurement_names_all_of_the_code():
    assert measure({"mc2": "0.1.0"}) == measure({"mc2": "0.1.0"})
    assert measure({"mc2": "0.1.0"}) != measure({"mc2": "0.1.1"})
    assert measure({"a": "b"}) != measure({"b": "a"})
    assert len(bytes.fromhex(measure({}))) == 48


# --- the root's file


def test_a_root_survives_its_file_and_nobody_else_can_read_it(tmp_path):
    path = tmp_path / "root.pem"
    ROOT.store(path)
    assert path.stat().st_mode & 0o777 == 0o600
    again = SimulatedRoot.load(path)
    assert again.digest == ROOT.digest
    SimulatedVerifier(ROOT.digest).verify(collect(again), at=AT)


def test_a_root_is_never_overwritten(tmp_path):
    path = tmp_path / "root.pem"
    ROOT.store(path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        SimulatedRoot.make().store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_root_that_others_can_reach_is_refused(tmp_path, mode):
    path = tmp_path / "root.pem"
    ROOT.store(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match="others"):
        SimulatedRoot.load(path)


def test_a_missing_root_is_said_to_be_missing(tmp_path):
    with pytest.raises(UsageError, match="no simulation root"):
        SimulatedRoot.load(tmp_path / "nowhere.pem")


def test_only_a_p384_key_is_a_root(tmp_path):
    path = tmp_path / "root.pem"
    for raw in (b"", b"-----BEGIN PRIVATE KEY-----\n", b"x" * 9000, p256_pem()):
        path.write_bytes(raw)
        path.chmod(0o600)
        with pytest.raises(FormatError):
            SimulatedRoot.load(path)


def p256_pem():
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_two_roots_differ_and_a_repr_shows_no_secret():
    assert SimulatedRoot.make().digest != SimulatedRoot.make().digest
    assert repr(ROOT) == f"<SimulatedRoot {digest(ROOT.public)}>"


# --- the registry of verifiers


def test_nothing_is_verified_by_default():
    with pytest.raises(EvidenceError) as refused:
        Verifiers().verify(collect(), at=AT)
    assert "--unsafe-simulation" in refused.value.hint


def test_an_unknown_kind_names_those_that_are_known():
    verifiers = Verifiers(SimulatedVerifier(ROOT.digest))
    assert verifiers.kinds == (KIND,)
    with pytest.raises(EvidenceError) as refused:
        verifiers.verify(RawEvidence("sev-snp", b""), at=AT)
    assert KIND in refused.value.hint


def test_two_verifiers_for_one_kind_are_a_mistake():
    with pytest.raises(UsageError):
        Verifiers(SimulatedVerifier(ROOT.digest), SimulatedVerifier(digest(b"x")))


@pytest.mark.parametrize("change", [{"kind": "sev-snp"}, {"tier": Tier.HARDWARE_CVM}])
def test_a_verifier_never_claims_more_than_its_kind_can_mean(change):
    class Pretender(SimulatedVerifier):
        def verify(self, raw, *, at):
            return replace(super().verify(raw, at=at), **change)

    with pytest.raises(EvidenceError, match="beyond its kind"):
        Verifiers(Pretender(ROOT.digest)).verify(collect(), at=AT)
