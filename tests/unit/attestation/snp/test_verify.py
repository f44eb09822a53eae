"""What no genuine report covers, on a synthetic AMD: each part made wrong by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.amd_hierarchy import CRL_WINDOW, NOW, SERIALS, WINDOW, Amd, Guest

from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import EvidenceError

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
TCB = {"bl": 4, "snp": 30, "ucode": 80}


def verify(amd: Amd, at=NOW) -> VerifiedClaims:
    return SnpVerifier(roots=amd.pins()).verify(amd.evidence(), at=at)


def refused(amd: Amd, match: str, at=NOW) -> None:
    with pytest.raises(EvidenceError, match=match):
        verify(amd, at)


@pytest.mark.parametrize("key", ["VCEK", "VLEK"])
@pytest.mark.parametrize("line", ["Milan", "Genoa", "Turin"])
def test_a_right_report_of_each_line_and_key(line: str, key: str) -> None:
    claims = verify(Amd(line=line, signing_key=key))
    assert claims.details["product_line"] == line
    assert claims.details["signing_key"] == key
    assert claims.details["tcb"]["reported"]["ucode"] == 80
    assert claims.valid_until == WINDOW[1]
    assert claims.platform_id.startswith("chip:")
    assert claims.details["firmware"] == {"current": "1.55.41", "committed": "1.55.40"}


# --- the certificate of the key -----------------------------------------------------------------

VERSIONS = {
    "Milan": ("bl", "tee", "snp", "ucode", "spl4", "spl5", "spl6", "spl7"),
    "Turin": ("fmc", "bl", "tee", "snp", "ucode", "spl5", "spl6", "spl7"),
}


@pytest.mark.parametrize(("line", "name"), [(k, n) for k, names in VERSIONS.items() for n in names])
def test_every_certified_version_must_equal_the_reported_one(line: str, name: str) -> None:
    for version in (TCB.get(name, 0) + 1, TCB.get(name, 0) - 1):
        if version >= 0:
            refused(
                Amd(line=line, certified_tcb={**TCB, name: version}), "another firmware version"
            )


@pytest.mark.parametrize("state", ["current", "committed", "launch"])
def test_only_the_reported_version_binds_the_key(state: str) -> None:
    higher = {**TCB, "snp": 31}
    claims = verify(Amd(guest=Guest(tcbs={state: higher})))
    assert claims.details["tcb"][state]["snp"] == 31
    assert claims.details["tcb"]["reported"]["snp"] == 30


def test_a_version_beyond_a_byte_is_refused() -> None:
    refused(Amd(certified_tcb={**TCB, "snp": 256 + 30}), "beyond one byte")


@pytest.mark.parametrize("number", ["1", "2", "3.1", "3.3", "3.8", "4"])
def test_every_extension_is_needed(number: str) -> None:
    refused(Amd(dropped=(f"1.3.6.1.4.1.3704.1.{number}",)), "lacks the extension")


@pytest.mark.parametrize("number", ["1", "2", "3.3"])
@pytest.mark.parametrize("value", [b"", b"\x04\x01\x00", b"\x02\x01\x00\x00", b"\x16"])
def test_odd_extensions_are_refused(number: str, value: bytes) -> None:
    with pytest.raises(EvidenceError, match=r"not a number|not text|product line|TCB layout"):
        verify(Amd(extra={f"1.3.6.1.4.1.3704.1.{number}": value}))


@pytest.mark.parametrize("product", ["Milan", "Genoa2", "genoa", "", "-B0"])
def test_a_product_of_another_line_is_refused(product: str) -> None:
    refused(Amd(line="Genoa", product=product), "product line|not text")


def test_a_stepping_behind_the_product_is_fine() -> None:
    assert verify(Amd(line="Milan", product="Milan-B0")).details["product"] == "Milan-B0"


def test_the_layout_of_another_line_is_refused() -> None:
    refused(Amd(line="Turin", structure=0), "TCB layout")
    refused(Amd(line="Genoa", structure=1), "TCB layout")


def test_the_chip_must_be_the_certified_one() -> None:
    refused(Amd(certified_chip=b"x" * 64), "another chip")
    refused(Amd(line="Turin", certified_chip=b"x" * 8), "another chip")
    refused(Amd().guest_but(chip_id=bytes(64)), "another chip")
    # Turin's ids have 8 bytes, and nothing may stand in the rest of the field.
    turin = Amd(line="Turin")
    refused(turin.guest_but(chip_id=turin.chip + b"\x01".rjust(56, b"\0")), "another chip")


@pytest.mark.parametrize("size", [0, 8, 63, 65])
def test_a_chip_id_of_odd_length_is_refused(size: int) -> None:
    refused(Amd(certified_chip=b"x" * size), "odd length")


@pytest.mark.parametrize("line", ["Genoa", "Turin"])
def test_a_chip_id_may_be_wrapped_as_the_specification_says(line: str) -> None:
    assert verify(Amd(line=line, wrapped_chip=True)).details["product_line"] == line


def test_a_masked_chip_is_said_to_be_masked() -> None:
    claims = verify(Amd().guest_but(chip_id=bytes(64), key_info=0b10))
    assert claims.platform_id == ""
    assert claims.details["mask_chip_key"] is True
    # Masked, and yet it names another chip: that is not what firmware does.
    refused(Amd().guest_but(chip_id=b"x" * 64, key_info=0b10), "another chip")


def test_a_vlek_needs_no_chip() -> None:
    assert verify(Amd(signing_key="VLEK").guest_but(chip_id=bytes(64))).platform_id == ""


@pytest.mark.parametrize("name", ["SEV-VLEK", "SEV-ASK", "SEV-VCEK ", "x"])
def test_the_name_of_the_key_must_agree_with_the_report(name: str) -> None:
    refused(Amd(leaf_name=name), "not the certificate of a VCEK|lacks the extension|not a VLEK")


def test_the_report_may_not_claim_the_other_key() -> None:
    """A report that says VLEK does not pass with the VCEK's certificates under other names."""
    amd = Amd().guest_but(key_info=1 << 2)
    raw = amd.evidence()
    names = {"vlek": raw.endorsements["vcek"], "asvk": raw.endorsements["ask"]}
    moved = {**names, "ark": raw.endorsements["ark"]}
    with pytest.raises(EvidenceError, match="not that of Genoa"):
        SnpVerifier(roots=amd.pins()).verify(replace(raw, endorsements=moved), at=NOW)


def test_an_authority_for_the_other_sort_of_key_is_refused() -> None:
    refused(Amd(authority_name="SEV-VLEK-Genoa"), "not that of Genoa")
    refused(Amd(signing_key="VLEK", authority_name="SEV-Genoa"), "not that of Genoa")
    refused(Amd(authority_name="SEV-Milan"), "not that of Genoa")


# --- the path -----------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["leaf", "ASK", "ARK"])
def test_each_certificate_has_its_time(who: str) -> None:
    late, early = (NOW + SECOND, NOW + DAY), (NOW - DAY, NOW - SECOND)
    refused(Amd(windows={who: late}), "not valid before")
    refused(Amd(windows={who: early}), "ended on")
    assert verify(Amd(windows={who: (NOW, NOW)})).valid_until == NOW


@pytest.mark.parametrize("who", ["leaf", "ASK", "ARK", "report"])
def test_each_signature_is_by_the_right_key(who: str) -> None:
    if who == "ARK":
        amd = Amd(signed_by={"ARK": "another"})
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            SnpVerifier(roots=amd.pins()).verify(amd.evidence(), at=NOW)
        with pytest.raises(EvidenceError, match="the signature of the ARK certificate is false"):
            SnpVerifier(roots=Amd().pins()).verify(amd.evidence(), at=NOW)
    else:
        refused(Amd(signed_by={who: "another"}), "signature of .* is false")


def test_small_keys_are_refused() -> None:
    refused(Amd(bits=2048), "does not fit")


def test_an_authority_must_be_one() -> None:
    refused(Amd(authority_ca=False), "may not sign certificates")
    refused(Amd(key_usage={"ASK": (False, True)}), "may not sign certificates")
    refused(Amd(key_usage={"ARK": (False, True)}), "may not sign certificates")
    refused(Amd(leaf_ca=True), "certificate of an authority")


def test_unknown_critical_extensions_are_refused() -> None:
    assert verify(Amd(extra={"1.2.3.4": b"\x05\x00"})).debug is False
    refused(Amd(extra={"1.2.3.4": b"\x05\x00"}, critical=("1.2.3.4",)), "unknown critical")


# --- the revocation list ------------------------------------------------------------------------


def test_a_current_list_is_noted_and_bounds_validity() -> None:
    claims = verify(Amd(revoked=(1, 2)))
    assert claims.valid_until == CRL_WINDOW[1]
    assert claims.details["crl"] == {
        "this_update": "2026-11-13T12:00:00Z",
        "next_update": "2026-12-13T12:00:00Z",
    }


@pytest.mark.parametrize("who", ["ASK", "ARK"])
def test_revoked_authorities_are_refused(who: str) -> None:
    refused(Amd(revoked=(7, SERIALS[who])), f"the {who} certificate is revoked")


def test_a_revoked_asvk_is_refused_and_does_not_concern_vceks() -> None:
    refused(Amd(signing_key="VLEK", revoked=(SERIALS["ASVK"],)), "the ASVK certificate is revoked")
    assert verify(Amd(revoked=(SERIALS["ASVK"],))).details["crl"] is not None


def test_lists_of_the_past_and_the_future_are_refused() -> None:
    start, end = CRL_WINDOW
    listed = Amd(revoked=())
    for at in (start, end):
        verify(listed, at)
    refused(listed, "from the future", start - SECOND)
    refused(listed, "out of date", end + SECOND)


def test_a_list_must_be_the_roots_own() -> None:
    refused(Amd(revoked=(), signed_by={"crl": "another"}), "the signature of AMD's revocation list")
    refused(Amd(revoked=(), crl_issuer="ASK"), "was not issued by")
    refused(Amd(revoked=(), key_usage={"ARK": (True, False)}), "may not sign revocation lists")


def test_a_flip_in_any_byte_of_a_list_is_refused() -> None:
    amd = Amd(revoked=(9, 10))
    raw, verifier, found = amd.evidence(), SnpVerifier(roots=amd.pins()), []
    crl = raw.endorsements["crl"]
    for at in range(len(crl)):
        changed = crl[:at] + bytes((crl[at] ^ 1 << at % 8,)) + crl[at + 1 :]
        try:
            verifier.verify(replace(raw, endorsements={**raw.endorsements, "crl": changed}), at=NOW)
        except EvidenceError:
            continue
        found.append(at)
    assert found == []


# --- names of endorsements ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vcek", "ask", "ark"])
def test_each_endorsement_is_needed(name: str) -> None:
    raw = Amd().evidence()
    left = {k: v for k, v in raw.endorsements.items() if k != name}
    with pytest.raises(EvidenceError, match=f"without {name}"):
        SnpVerifier(roots=Amd().pins()).verify(replace(raw, endorsements=left), at=NOW)


@pytest.mark.parametrize("name", ["vlek", "asvk", "VCEK", "eventlog"])
def test_other_endorsements_are_refused(name: str) -> None:
    raw = Amd().evidence()
    more = {**raw.endorsements, name: raw.endorsements["ask"]}
    with pytest.raises(EvidenceError, match="no use for"):
        SnpVerifier(roots=Amd().pins()).verify(replace(raw, endorsements=more), at=NOW)


def test_time_without_a_zone_is_our_own_mistake() -> None:
    with pytest.raises(TypeError):
        verify(Amd(), NOW.replace(tzinfo=None))
