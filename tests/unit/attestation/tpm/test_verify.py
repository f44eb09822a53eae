"""TPM quotes as evidence: genuine, synthetic, and false in each part."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.tpm_quotes import NOW, Maker, Tpm, activate, ec_key, rsa_key, spki
from tests.support.vectors import case_files, expected, needs_vectors

from mc2.attestation.claims import ClaimsToActivate, RawEvidence, Tier, VerifiedClaims
from mc2.attestation.keys import Scheme
from mc2.attestation.pem import split_pem
from mc2.attestation.roots import AMD_ROOTS, GOOGLE_VTPM_ROOTS, PinnedRoot
from mc2.attestation.tpm import KIND
from mc2.attestation.tpm.code_log import CODE_REGISTER, CodeEvent, CodeLog, predicted_value
from mc2.attestation.tpm.credential import Credential
from mc2.attestation.tpm.endorsement import verify_attestation_key, verify_endorsement_key
from mc2.attestation.tpm.evidence import TpmEvidence
from mc2.attestation.tpm.quote import match_registers, verify_signed
from mc2.attestation.tpm.structures import parse_attest, parse_public, parse_signature
from mc2.attestation.tpm.verify import TpmVerifier, own_key
from mc2.attestation.verifiers import Verifiers
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError
from mc2.formats.canonical import decode, encode
from mc2.formats.release import CREDENTIAL_BLOB_BYTES, ENCRYPTED_SEED_BYTES

MAKER = Maker()
TPM = Tpm()
EK_CHAIN = {"ek_certificate": MAKER.certificate(rsa_key("ek")), "ek_chain": MAKER.chain()}
SECOND = timedelta(seconds=1)


ROOT = digest(split_pem(MAKER.chain(), "", most=2)[-1])


def found_in(raw: RawEvidence, *, roots=None, at: datetime = NOW):
    return TpmVerifier(MAKER.pins() if roots is None else roots).verify(raw, at=at)


def claims_of(raw: RawEvidence, *, roots=None, at: datetime = NOW) -> VerifiedClaims:
    """What holds once the key is activated."""
    found = found_in(raw, roots=roots, at=at)
    assert isinstance(found, ClaimsToActivate)
    return found.claims


def refused(raw: RawEvidence, match: str, *, at: datetime = NOW) -> None:
    with pytest.raises(EvidenceError, match=match):
        found_in(raw, at=at)


@pytest.mark.parametrize("kind", ["ecc", "rsa"])
def test_a_quote_by_an_activated_key(kind: str) -> None:
    tpm = Tpm(kind=kind)
    claims = claims_of(tpm.evidence(EK_CHAIN))
    assert (claims.kind, claims.tier, claims.debug) == (KIND, Tier.MEASURED_BOOT, False)
    assert claims.report_data == b"n" * 32
    assert claims.measurements == {f"PCR{n}": (bytes([n]) * 32).hex() for n in (0, 4, 11)}
    assert claims.platform_id == "ek:" + digest(spki(rsa_key("ek"))).removeprefix("sha256:")
    assert claims.evidence_digest == digest(tpm.attest())
    assert claims.valid_until == MAKER.window[1]
    found = claims.details
    assert (found["origin"], found["hierarchy"]) == ("activated", "endorsement")
    assert (found["reset_count"], found["bank"]) == (7, "sha256")
    assert found["firmware"] == "2019102300163636"
    assert found["root"] == ROOT
    encode(dict(found))  # canonical JSON throughout


def test_the_claims_count_only_once_the_key_is_activated() -> None:
    raw = TPM.evidence(EK_CHAIN)
    assert isinstance(found_in(raw), ClaimsToActivate)
    verifiers = Verifiers(TpmVerifier(MAKER.pins()))
    assert isinstance(verifiers.verify_to_activate(raw, at=NOW), ClaimsToActivate)
    with pytest.raises(EvidenceError, match="before its key is activated"):
        verifiers.verify(raw, at=NOW)


def test_the_key_to_activate_is_the_one_that_signed_in_the_tpm_that_is_certified() -> None:
    found = found_in(TPM.evidence(EK_CHAIN))
    assert isinstance(found, ClaimsToActivate)
    blob, seed = found.key.credential(b"s" * 32, bytes(range(32)))
    assert (len(blob), len(seed)) == (CREDENTIAL_BLOB_BYTES, ENCRYPTED_SEED_BYTES)
    name = parse_public(TPM.public).name
    assert activate("ek", name, Credential(blob, seed)) == b"s" * 32
    with pytest.raises(ValueError, match="integrity"):
        activate("ek", parse_public(Tpm(key="software").public).name, Credential(blob, seed))
    with pytest.raises(ValueError, match="ecrypt"):
        activate("another ek", name, Credential(blob, seed))
    assert own_key(TPM.evidence(EK_CHAIN)) == found.key


def test_a_key_with_no_certificate_at_all_is_unproven() -> None:
    claims = found_in(TPM.evidence())
    assert isinstance(claims, VerifiedClaims)
    assert (claims.details["origin"], claims.platform_id) == ("unproven", "")
    assert claims.valid_until is None
    assert claims.details["root"] is None


def test_a_key_of_another_hierarchy_is_seen() -> None:
    for parent, name in ((0x40000001, "owner"), (0x4000000C, "platform"), (0x81010001, None)):
        claims = claims_of(TPM.but(parent=parent).evidence(EK_CHAIN))
        assert claims.details["hierarchy"] == name


def test_a_key_with_a_certificate_of_its_provider() -> None:
    certificate = MAKER.certificate(ec_key("ak"), usage="digital_signature")
    given = {"ak_certificate": certificate, "ak_chain": MAKER.chain()}
    claims = found_in(TPM.evidence(given))
    assert isinstance(claims, VerifiedClaims)
    assert claims.details["origin"] == "certified"
    assert claims.platform_id == "ak:" + digest(spki(ec_key("ak"))).removeprefix("sha256:")
    refused(Tpm(key="another").evidence(given), "for another key")
    unfit = {**given, "ak_certificate": MAKER.certificate(ec_key("ak"))}
    refused(TPM.evidence(unfit), "for another use")
    refused(TPM.evidence({"ak_certificate": certificate}), "without ak_chain")
    refused(TPM.evidence({"ak_chain": MAKER.chain()}), "without ak_certificate")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"signed_by": "mallory"}, "signature of the TPM quote is false"),
        ({"attributes": 0x00040072}, "not an attestation key"),
        ({"magic": b"\xffTCH"}, "not a quote made by a TPM"),
        ({"digest": bytes(32)}, "not the quoted ones"),
        ({"selected": (0, 4)}, "not those it is over"),
        ({"selected": (0, 4, 11, 12)}, "not those it is over"),
        ({"pcrs": {}}, "not those it is over"),
        ({"pcrs": {4: b"x" * 48}}, "another size"),
    ],
)
def test_each_part_of_a_quote_counts(change: dict[str, object], match: str) -> None:
    refused(TPM.but(**change).evidence(EK_CHAIN), match)


def test_the_scheme_is_that_of_the_key() -> None:
    ours, theirs = Tpm(), Tpm(kind="rsa")
    attest = ours.attest()
    mixed = TpmEvidence(
        quote=attest, signature=theirs.signature(attest), ak_public=ours.public, pcrs=ours.pcrs
    )
    refused(RawEvidence(KIND, mixed.encode(), EK_CHAIN), "another way")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"ek_certificate": b""}, "does not decode"),
        ({"ek_chain": b""}, "plain PEM"),
        (
            {"ek_certificate": MAKER.certificate(rsa_key("ek"), usage="digital_signature")},
            "another use",
        ),
        ({"ek_certificate": Maker(signed_by="mallory").certificate(rsa_key("ek"))}, "is false"),
        ({"ek_chain": Maker(name="forger").chain()}, "not a root that is trusted"),
    ],
)
def test_the_endorsement_certificate_counts(given: dict[str, bytes], match: str) -> None:
    refused(TPM.evidence({**EK_CHAIN, **given}), match)


@pytest.mark.parametrize("name", ["ek_certificate", "ek_chain"])
def test_an_activated_key_comes_with_its_certificates(name: str) -> None:
    refused(TPM.evidence({k: v for k, v in EK_CHAIN.items() if k != name}), name)


def test_the_certificate_counts_within_its_validity() -> None:
    raw = TPM.evidence(EK_CHAIN)
    start, end = MAKER.window
    for at in (start, end):
        claims_of(raw, at=at)
    refused(raw, "not valid before", at=start - SECOND)
    refused(raw, "ended on", at=end + SECOND)


def test_a_log_must_explain_every_quoted_register() -> None:
    zeros = TPM.but(pcrs={0: bytes(32), 17: b"\xff" * 32})
    log = b"".join(
        (
            bytes(4), b"\3\0\0\0", bytes(20), (33).to_bytes(4, "little"), b"Spec ID Event03\0",
            bytes(8), b"\1\0\0\0", b"\x0b\0\x20\0", b"\0",
        )
    )  # fmt: skip
    claims = claims_of(zeros.evidence({**EK_CHAIN, "event_log": log}))
    assert claims.details["events"] == {}
    refused(TPM.evidence({**EK_CHAIN, "event_log": log}), "does not explain register")
    refused(TPM.evidence({**EK_CHAIN, "event_log": log[:-1]}), "ends too early")


def test_a_code_log_must_explain_its_register() -> None:
    starts = tuple(CodeEvent({"mc2": n * 64}) for n in "ab")
    log = CodeLog(starts)
    tpm = TPM.but(pcrs={4: b"\4" * 32, CODE_REGISTER: log.value()})
    claims = claims_of(tpm.evidence({**EK_CHAIN, "code_log": log.encode()}))
    assert claims.details["code"] == [
        {"digest": event.digest.hex(), "parts": dict(event.parts)} for event in starts
    ]
    assert claims.measurements["PCR13"] == predicted_value(*starts)
    for lie in (CodeLog(starts[:1]), CodeLog(starts[::-1]), CodeLog((*starts, starts[0]))):
        raw = tpm.evidence({**EK_CHAIN, "code_log": lie.encode()})
        refused(raw, "does not explain register 13")
    refused(TPM.evidence({**EK_CHAIN, "code_log": log.encode()}), "not over register 13")
    for broken in (b"", log.encode() + b" ", log.encode().replace(b"13", b"14")):
        refused(tpm.evidence({**EK_CHAIN, "code_log": broken}), ".")


def test_the_firmwares_log_need_not_know_of_the_code() -> None:
    log = CodeLog((CodeEvent({"mc2": "0" * 64}),))
    tpm = TPM.but(pcrs={0: bytes(32), CODE_REGISTER: log.value()})
    header = b"Spec ID Event03\0" + bytes(8) + b"\1\0\0\0" + b"\x0b\0\x20\0" + b"\0"
    firmware = bytes(4) + b"\3\0\0\0" + bytes(20) + len(header).to_bytes(4, "little") + header
    given = {**EK_CHAIN, "event_log": firmware}
    claims_of(tpm.evidence({**given, "code_log": log.encode()}))
    refused(tpm.evidence(given), "does not explain register 13")


def test_endorsements_that_mean_nothing_here_are_refused() -> None:
    refused(TPM.evidence({**EK_CHAIN, "vcek": b""}), "no use for")


def test_a_verifier_takes_its_own_kind_only() -> None:
    raw = TPM.evidence(EK_CHAIN)
    refused(replace(raw, kind="amd-sev-snp/v1"), "tpm2-quote/v1")


def test_no_byte_of_the_evidence_can_change() -> None:
    raw = TPM.evidence(EK_CHAIN)
    good = claims_of(raw)
    accepted = []
    for at in range(len(raw.evidence)):
        flipped = bytearray(raw.evidence)
        flipped[at] ^= 1 << at % 8
        try:
            claims = claims_of(replace(raw, evidence=bytes(flipped)))
        except EvidenceError:
            continue
        # A changed key has another name: what an owner seals to that opens in no TPM.
        if claims.details["ak_name"] == good.details["ak_name"]:
            accepted.append(at)
    assert accepted == []
    assert good.details["origin"] == "activated"


@pytest.mark.parametrize("name", ["ek_certificate", "ek_chain"])
def test_no_byte_of_the_certificates_can_change(name: str) -> None:
    raw = TPM.evidence(EK_CHAIN)
    for at in range(len(EK_CHAIN[name])):
        flipped = bytearray(EK_CHAIN[name])
        flipped[at] ^= 1 << at % 8
        refused(replace(raw, endorsements={**EK_CHAIN, name: bytes(flipped)}), ".")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "mc2/tpm-evidence/v2"},
        {"quote": ""},
        {"signature": "AA"},
        {"more": 1},
        {"pcrs": []},
        {"pcrs": {"24": "AA=="}},
        {"pcrs": {"04": "AA=="}},
        {"pcrs": {"4": 1}},
        {"pcrs": {"4": base64.b64encode(bytes(49)).decode()}},
        {"quote": base64.b64encode(bytes(2049)).decode()},
    ],
)
def test_evidence_is_read_strictly(change: dict[str, object]) -> None:
    value = decode(TPM.evidence().evidence, 1 << 16, "it")
    assert isinstance(value, dict)
    refused(RawEvidence(KIND, encode({**value, **change}), EK_CHAIN), ".")


# --- genuine evidence -----------------------------------------------------------------------

SWTPM_AT = datetime(2026, 11, 24, tzinfo=UTC)


def swtpm_case() -> tuple[RawEvidence, tuple[PinnedRoot, ...]]:
    files, want = case_files("tpm-swtpm-local"), expected("tpm-swtpm-local")
    evidence = TpmEvidence(
        quote=files["quote.attest"],
        signature=files["quote.sig"],
        ak_public=files["ak_pub.tpmt"],
        pcrs={int(n): bytes.fromhex(value) for n, value in want["pcrs"].items()},
    )
    chain = files["issuer.pem"] + files["root.pem"]
    roots = (
        PinnedRoot(
            vendor="swtpm", meaning="a local authority", of="certificate",
            sha256=digest(split_pem(files["root.pem"], "", most=1)[0]).removeprefix("sha256:"),
            not_after=SWTPM_AT,
        ),
    )  # fmt: skip
    given = {"ek_certificate": files["ek_cert.der"], "ek_chain": chain}
    return RawEvidence(KIND, evidence.encode(), given), roots


@needs_vectors
def test_a_genuine_quote_of_a_software_tpm() -> None:
    raw, roots = swtpm_case()
    claims = claims_of(raw, roots=roots, at=SWTPM_AT)
    want = expected("tpm-swtpm-local")
    assert claims.report_data.hex() == want["nonce"]
    assert claims.measurements == {f"PCR{n}": value for n, value in want["pcrs"].items()}
    assert claims.details["hierarchy"] == "endorsement"
    assert claims.details["reset_count"] == 2
    for roots in ((), AMD_ROOTS, GOOGLE_VTPM_ROOTS):
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            claims_of(raw, roots=roots, at=SWTPM_AT)


@needs_vectors
def test_a_quote_whose_key_is_only_given_as_such_verifies_and_proves_no_tpm() -> None:
    found = json.loads(case_files("tpm-coco")["evidence.json"])
    attest = parse_attest(base64.b64decode(found["tpm_quote"]["message"]))
    signature = parse_signature(base64.b64decode(found["tpm_quote"]["signature"]))
    key = base64.b64decode(found["ak_public"])
    verify_signed(attest, signature, spki=key, scheme=Scheme.RSA_PKCS1_SHA256)
    pcrs = {n: bytes.fromhex(value) for n, value in enumerate(found["tpm_quote"]["pcrs"])}
    match_registers(attest, signature, pcrs)
    # Without its attributes a key may be any key: the evidence has no place for a bare one.
    evidence = TpmEvidence(
        quote=attest.raw, signature=base64.b64decode(found["tpm_quote"]["signature"]),
        ak_public=key, pcrs=pcrs,
    )  # fmt: skip
    refused(RawEvidence(KIND, evidence.encode()), "TPM key")


@needs_vectors
def test_the_certificates_of_googles_virtual_tpms() -> None:
    files = case_files("vtpm-gcp-certs")
    at = datetime(2025, 1, 1, tzinfo=UTC)

    def parts(name: str) -> tuple[bytes, bytes]:
        leaf = split_pem(files[f"{name}cert.pem"], name, most=1)[0]
        return leaf, files[f"{name}_intermediate.pem"] + files[f"{name}_root.pem"]

    verify_endorsement_key(*parts("ek"), roots=GOOGLE_VTPM_ROOTS, at=at)
    verify_attestation_key(*parts("ak"), roots=GOOGLE_VTPM_ROOTS, at=at)
    with pytest.raises(EvidenceError, match="another use"):
        verify_endorsement_key(*parts("ak"), roots=GOOGLE_VTPM_ROOTS, at=at)
    with pytest.raises(EvidenceError, match="another use"):
        verify_attestation_key(*parts("ek"), roots=GOOGLE_VTPM_ROOTS, at=at)
    start, end = (datetime.fromisoformat(text) for text in expected("vtpm-gcp-certs")["valid"])
    for when in (start - SECOND, end + SECOND):
        with pytest.raises(EvidenceError):
            verify_endorsement_key(*parts("ek"), roots=GOOGLE_VTPM_ROOTS, at=when)
