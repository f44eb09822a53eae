"""Quotes at their time: exact claims, other times, other people's collateral, wrong keys."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.intel_hierarchy import (
    ISSUED,
    NEXT_UPDATE,
    NOW,
    PCK,
    PCK_SERIAL,
    PLATFORM_CA,
    PROCESSOR_CA,
    ROOT,
    SERIALS,
    SIGNER,
    Intel,
    Machine,
    Qe,
    Sgx,
    Td,
    level,
    module,
    point,
    svn_level,
)
from tests.support.intel_quotes import FALSE, GENUINE, UNACCEPTABLE, evidence, lax_policy, verify
from tests.support.vectors import case_files, expected, needs_vectors, verify_at

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.dcap.claims import SGX_KIND, TDX_KIND
from mc2.attestation.dcap.endorsements import ENDORSEMENTS
from mc2.attestation.dcap.verify import SgxVerifier, TdxVerifier
from mc2.attestation.roots import AMD_ROOTS, INTEL_ROOTS
from mc2.crypto.digest import digest
from mc2.errors import EvidenceError

SGX = Intel()
TD10 = Intel(body=Td(), version=4)
TD15 = Intel(body=Td(svn2=bytes([6, 1, 4]) + bytes(13)), version=5)
SECOND = timedelta(seconds=1)


def claims_of(intel: Intel, at: datetime = NOW):
    return verify(intel.evidence(), at, intel.pins())


def refused(intel: Intel, match: str, at: datetime = NOW) -> None:
    with pytest.raises(EvidenceError, match=match):
        claims_of(intel, at)


# --- genuine quotes -------------------------------------------------------------------------


@needs_vectors
@pytest.mark.parametrize("case", [*GENUINE, *UNACCEPTABLE])
def test_the_claims_of_a_genuine_quote_are_exact(case: str) -> None:
    want, raw = expected(case), evidence(case)
    claims = verify(raw, verify_at(case))
    found = claims.details
    assert claims.report_data.hex() == want["report_data"]
    assert claims.debug == want["debug"]
    assert found["fmspc"] == want["fmspc"].lower()
    assert found["quote_version"] == want["quote_version"]
    if want["result"] == "valid":
        assert found["tcb_status"] == want["tcb_status"]
        assert found["advisories"] == want["advisory_ids"]
    if want["tee"] == "SGX":
        assert (claims.kind, claims.tier) == (SGX_KIND, Tier.HARDWARE_ENCLAVE)
        assert claims.measurements == {"MRENCLAVE": want["mr_enclave"]}
        for ours, theirs in (
            ("mrsigner", "mr_signer"),
            ("isvprodid", "isv_prod_id"),
            ("isvsvn", "isv_svn"),
            ("attributes", "attributes"),
        ):
            assert found[ours] == want[theirs]
    else:
        assert (claims.kind, claims.tier) == (TDX_KIND, Tier.HARDWARE_CVM)
        assert claims.measurements == {
            "MRTD": want["mr_td"],
            "MRSEAM": want["mr_seam"],
            **{f"RTMR{n}": value for n, value in enumerate(want["rtmr"])},
        }
        for ours, theirs in (
            ("mrconfigid", "mr_config_id"),
            ("mrowner", "mr_owner"),
            ("td_attributes", "td_attributes"),
            ("xfam", "xfam"),
            ("tee_tcb_svn", "tee_tcb_svn"),
        ):
            assert found[ours] == want[theirs]
    processor = want["ca"] == "processor"
    assert claims.platform_id.startswith("ppid:" if processor else "piid:")
    assert (found["smt"] is None) == processor
    start, end = (datetime.fromisoformat(text) for text in want["collateral_valid"])
    assert start <= verify_at(case) <= end
    assert claims.valid_until == end


@needs_vectors
@pytest.mark.parametrize("case", FALSE)
def test_false_quotes_are_refused(case: str) -> None:
    with pytest.raises(EvidenceError):
        verify(evidence(case), verify_at(case))


@needs_vectors
@pytest.mark.parametrize("case", UNACCEPTABLE)
def test_unacceptable_quotes_break_a_rule_of_every_policy(case: str) -> None:
    claims = verify(evidence(case), verify_at(case))
    assert claims.debug or lax_policy(claims).check(claims)


@needs_vectors
@pytest.mark.parametrize("case", GENUINE)
def test_genuine_quotes_satisfy_the_weakest_policy(case: str) -> None:
    claims = verify(evidence(case), verify_at(case))
    assert lax_policy(claims).check(claims) == []


@needs_vectors
def test_the_same_quote_is_refused_once_its_collateral_is_old() -> None:
    case = "tdx-v4-phala-expired-collateral"
    with pytest.raises(EvidenceError, match="out of date"):
        verify(evidence(case), verify_at(case))


@needs_vectors
def test_padding_is_not_a_new_name() -> None:
    case = "tdx-v4-automata-outofdate"
    raw, at = evidence(case), verify_at(case)
    named = verify(raw, at).evidence_digest
    assert named == digest(raw.evidence[:632])
    assert verify(replace(raw, evidence=raw.evidence.rstrip(b"\0")), at).evidence_digest == named


@needs_vectors
@pytest.mark.parametrize("case", GENUINE)
def test_collateral_of_other_cases_does_not_serve(case: str) -> None:
    raw, at = evidence(case), verify_at(case)
    own = case_files(case)["collateral.json"]
    for other in GENUINE:
        if case_files(other)["collateral.json"] != own:
            with pytest.raises(EvidenceError):
                verify(replace(raw, endorsements=evidence(other).endorsements), at)


@needs_vectors
@pytest.mark.parametrize("name", ENDORSEMENTS)
def test_each_endorsement_is_needed_and_has_its_own_place(name: str) -> None:
    case = "tdx-v5-google-uptodate"
    raw, at = evidence(case), verify_at(case)
    without = {k: v for k, v in raw.endorsements.items() if k != name}
    with pytest.raises(EvidenceError, match=name):
        verify(replace(raw, endorsements=without), at)
    for other in ENDORSEMENTS:
        if raw.endorsements[other] != raw.endorsements[name]:
            swapped = {**raw.endorsements, name: raw.endorsements[other]}
            with pytest.raises(EvidenceError):
                verify(replace(raw, endorsements=swapped), at)


@needs_vectors
@pytest.mark.parametrize("case", GENUINE)
def test_a_root_that_is_not_pinned_is_refused(case: str) -> None:
    for roots in ((), AMD_ROOTS, SGX.pins()):
        with pytest.raises(EvidenceError, match="not a root that is trusted"):
            verify(evidence(case), verify_at(case), roots)


@needs_vectors
@pytest.mark.parametrize("case", GENUINE)
def test_a_genuine_quote_is_good_exactly_within_its_collateral(case: str) -> None:
    raw = evidence(case)
    start, end = (datetime.fromisoformat(text) for text in expected(case)["collateral_valid"])
    for at in (start, start + SECOND, verify_at(case), end - SECOND, end):
        verify(raw, at)
    for at in (
        start - SECOND,
        start - timedelta(days=400),
        end + SECOND,
        end + timedelta(days=400),
        datetime(2061, 1, 1, tzinfo=UTC),
    ):
        with pytest.raises(EvidenceError):
            verify(raw, at)


# --- the verifiers as objects ---------------------------------------------------------------


def test_a_verifier_takes_its_own_kind_only() -> None:
    raw = SGX.evidence()
    with pytest.raises(EvidenceError, match="intel-tdx/v1"):
        TdxVerifier(SGX.pins()).verify(raw, at=NOW)
    with pytest.raises(EvidenceError, match="a quote of SGX"):
        TdxVerifier(SGX.pins()).verify(replace(raw, kind=TDX_KIND), at=NOW)
    with pytest.raises(EvidenceError, match="a quote of TDX"):
        SgxVerifier(TD10.pins()).verify(replace(TD10.evidence(), kind=SGX_KIND), at=NOW)


def test_evidence_without_collateral_says_how_to_get_it() -> None:
    with pytest.raises(EvidenceError) as caught:
        SgxVerifier(INTEL_ROOTS).verify(RawEvidence(SGX_KIND, SGX.quote()), at=NOW)
    assert "endorsements fetch" in caught.value.hint


def test_endorsements_that_mean_nothing_here_are_refused() -> None:
    raw = SGX.evidence()
    more = {**raw.endorsements, "vcek": b""}
    with pytest.raises(EvidenceError, match="no use for"):
        verify(replace(raw, endorsements=more), NOW, SGX.pins())


# --- a synthetic Intel: what no genuine quote shows ---------------------------------------


@pytest.mark.parametrize("intel", [SGX, TD10, TD15], ids=["sgx", "td10", "td15"])
def test_the_synthetic_quotes_are_right(intel: Intel) -> None:
    claims = claims_of(intel)
    assert claims.details["tcb_status"] == "UpToDate"
    assert claims.details["tcb_evaluation_number"] == 19
    assert claims.platform_id == "piid:" + (b"i" * 16).hex()
    assert claims.report_data == b"R" * 64
    assert claims.valid_until == NEXT_UPDATE
    assert claims.details["collateral_issued"] == "2026-05-29T12:00:00Z"
    assert claims.details["verified_at"] == "2026-06-01T12:00:00Z"


def test_a_processor_authority_has_no_platform_instance() -> None:
    claims = claims_of(SGX.but(ca=PROCESSOR_CA, machine=Machine(piid=None)))
    assert claims.platform_id == "ppid:" + (b"p" * 16).hex()
    assert claims.details["piid"] is None
    assert claims.details["smt"] is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"ca_revokes": (1, PCK_SERIAL)}, "the PCK certificate is revoked"),
        ({"root_revokes": (SERIALS[PLATFORM_CA],)}, "authority's certificate is revoked"),
        ({"root_revokes": (SERIALS[SIGNER],)}, "signer is revoked"),
        ({"root_revokes": (SERIALS[ROOT],)}, "root is revoked"),
    ],
)
def test_whatever_is_revoked_is_refused(change: dict[str, object], match: str) -> None:
    refused(SGX.but(**change), match)
    refused(TD15.but(**change), match)


def test_serials_revoked_by_the_other_authority_mean_nothing() -> None:
    claims_of(SGX.but(ca_revokes=(SERIALS[SIGNER],), root_revokes=(PCK_SERIAL,)))


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ("quote", "signature of the quote is false"),
        ("qe_report", "quoting enclave's report is false"),
        (PCK, "PCK certificate is false"),
        (PLATFORM_CA, "authority's certificate is false"),
        (SIGNER, "signer is false"),
        ("tcb_info", "TCB info's signer states is false"),
        ("qe_identity", "QE identity's signer states is false"),
        ("crl " + ROOT, "root revocation list is false"),
        ("crl " + PLATFORM_CA, "PCK revocation list is false"),
    ],
)
def test_every_signature_counts(what: str, match: str) -> None:
    for intel in (SGX, TD10, TD15):
        refused(intel.but(signed_by={what: "mallory"}), match)


@pytest.mark.parametrize("field", ["root_crl_window", "pck_crl_window", "tcb_window", "qe_window"])
def test_collateral_counts_from_its_issue_to_its_next_update(field: str) -> None:
    for intel in (SGX, TD10):
        claims_of(intel.but(**{field: (NOW, NEXT_UPDATE)}))
        claims_of(intel.but(**{field: (ISSUED, NOW)}))
        refused(intel.but(**{field: (NOW + SECOND, NEXT_UPDATE)}), "from the future")
        refused(intel.but(**{field: (ISSUED, NOW - SECOND)}), "out of date")


@pytest.mark.parametrize("subject", [ROOT, PLATFORM_CA, PCK, SIGNER])
def test_certificates_count_within_their_validity(subject: str) -> None:
    for window in ((NOW, NEXT_UPDATE), (ISSUED, NOW)):
        claims = claims_of(SGX.but(windows={subject: window}))
        assert claims.valid_until == min(window[1], NEXT_UPDATE)
    refused(SGX.but(windows={subject: (NOW + SECOND, NEXT_UPDATE)}), "not valid before")
    refused(SGX.but(windows={subject: (ISSUED, NOW - SECOND)}), "ended on")


@pytest.mark.parametrize(
    ("qe", "match"),
    [
        (Qe(mrsigner=b"x" * 32), "not the one"),
        (Qe(isvprodid=2), "not the one"),
        (Qe(isvsvn=7), "no level for a quoting enclave"),
        (Qe(miscselect=1), "MISCSELECT"),
        (Qe(attributes=bytes.fromhex("1300000000000000e700000000000000")), "ATTRIBUTES"),
        (Qe(attributes=bytes.fromhex("0100000000000000e700000000000000")), "ATTRIBUTES"),
        (Qe(report_data=bytes(64)), "not for the key"),
    ],
)
def test_only_intels_quoting_enclave_counts(qe: Qe, match: str) -> None:
    for intel in (SGX, TD10):
        refused(intel.but(qe=qe), match)


def test_a_quoting_enclave_under_debug_is_refused_even_if_its_identity_allows_it() -> None:
    qe = Qe(attributes=bytes.fromhex("1300000000000000e700000000000000"))
    changes = {"attributesMask": "F9FFFFFFFFFFFFFF0000000000000000"}
    refused(SGX.but(qe=qe, qe_changes=changes), "under debug")


def test_the_report_of_the_quoting_enclave_says_nothing_beside_the_key() -> None:
    bound = hashlib.sha256(point("attestation") + Qe().auth).digest()
    refused(SGX.but(qe=Qe(report_data=bound + b"\1" * 32)), "not for the key")


@pytest.mark.parametrize("field", ["fmspc", "pceId"])
def test_tcb_info_of_another_kind_of_platform_is_refused(field: str) -> None:
    value = {"fmspc": "00806f050001", "pceId": "0001"}[field]
    for intel in (SGX, TD10):
        refused(intel.but(tcb_changes={field: value}), "TCB info is for FMSPC")


def test_the_signer_of_collateral_is_known_by_name() -> None:
    refused(SGX.but(signer_name="Intel SGX TCB Signin"), "not Intel's signer")


def test_a_pck_certificate_cannot_sign_collateral_nor_certify_others() -> None:
    raw = SGX.evidence()
    chain = SGX.collateral()["pck_crl_issuer_chain"].encode()
    swapped = {**raw.endorsements, "tcb_info_issuer_chain": chain}
    with pytest.raises(EvidenceError):
        verify(replace(raw, endorsements=swapped), NOW, SGX.pins())


@pytest.mark.parametrize(
    ("td", "match"),
    [
        (Td(mrsignerseam=b"1" * 48), "not signed by Intel"),
        (Td(seam_attributes=b"\1" + bytes(7)), "SEAM attributes"),
        (Td(svn=bytes([6, 0, 4]) + bytes(13), mrsignerseam=b"1" * 48), "not signed by Intel"),
        (Td(svn=bytes([6, 0, 4]) + bytes(13), seam_attributes=b"\1" * 8), "SEAM attributes"),
        (Td(svn=bytes([6, 2, 4]) + bytes(13)), "does not know the TDX module TDX_02"),
        (Td(svn=bytes([1, 1, 4]) + bytes(13)), "no level for a TDX module"),
        (Td(svn=bytes([6, 1, 3]) + bytes(13)), "no level for firmware"),
        (Td(svn=bytes([4, 0, 4]) + bytes(13)), "no level for firmware"),
        (Td(svn2=bytes([1, 1, 4]) + bytes(13)), "no level for a TDX module"),
        (Td(svn2=bytes([6, 2, 4]) + bytes(13)), "does not know the TDX module"),
    ],
)
def test_only_intels_tdx_modules_count(td: Td, match: str) -> None:
    refused(TD15.but(body=td, version=4 if td.svn2 is None else 5), match)


def test_the_module_identity_rates_modules_of_later_major_versions() -> None:
    claims = claims_of(TD10)
    assert claims.details["tdx_module"] == "TDX_01"
    assert claims.details["module_status"] == "UpToDate"
    old = claims_of(TD10.but(body=Td(svn=bytes([3, 1, 4]) + bytes(13))))
    assert (old.details["module_status"], old.details["tcb_status"]) == ("OutOfDate", "OutOfDate")


def test_the_platform_level_rates_the_first_modules() -> None:
    claims = claims_of(TD10.but(body=Td(svn=bytes([6, 0, 4]) + bytes(13))))
    assert (claims.details["tdx_module"], claims.details["module_status"]) == ("", None)


@pytest.mark.parametrize("index", range(16))
def test_every_component_of_a_level_counts(index: int) -> None:
    needed = [5] * 16
    machine = Machine(components=tuple(needed))
    claims_of(SGX.but(machine=machine, tcb_levels=(level(sgx=needed),)))
    needed[index] = 6
    refused(SGX.but(machine=machine, tcb_levels=(level(sgx=needed),)), "no level for firmware")


@pytest.mark.parametrize("index", range(2, 16))
def test_every_tdx_component_of_a_level_counts(index: int) -> None:
    svn = bytes([6, 1]) + bytes([4] * 14)
    needed = [4] * 16
    intel = TD10.but(body=Td(svn=svn))
    claims_of(intel.but(tcb_levels=(level(tdx=needed),)))
    needed[index] = 5
    refused(intel.but(tcb_levels=(level(tdx=needed),)), "no level for firmware")


def test_the_best_level_that_the_platform_reaches_is_taken() -> None:
    levels = (
        level(sgx=(4,) * 8 + (0,) * 8, status="OutOfDate", advisories=["INTEL-SA-00001"]),
        level(sgx=(5,) * 8 + (0,) * 8, pcesvn=14),
        level(status="SWHardeningNeeded", date="2026-02-02T00:00:00Z"),
    )
    claims = claims_of(SGX.but(tcb_levels=levels))
    assert claims.details["tcb_status"] == "SWHardeningNeeded"
    assert claims.details["tcb_date"] == "2026-02-02T00:00:00Z"
    worse = claims_of(SGX.but(tcb_levels=levels, machine=Machine(components=(4,) * 16)))
    assert worse.details["tcb_status"] == "OutOfDate"
    assert worse.details["advisories"] == ["INTEL-SA-00001"]


def test_advisories_of_all_parts_are_joined() -> None:
    tdx = bytes([5, 0, 4]) + bytes(13)
    intel = TD10.but(
        tcb_levels=(level(tdx=tdx, advisories=["INTEL-SA-00003", "INTEL-SA-00001"]),),
        qe_levels=(svn_level(8, "UpToDate", ["INTEL-SA-00002"]),),
        modules=(module(1, svn_level(5, "UpToDate", ["INTEL-SA-00001", "INTEL-SA-00004"])),),
    )
    wanted = [f"INTEL-SA-0000{n}" for n in (1, 2, 3, 4)]
    assert claims_of(intel).details["advisories"] == wanted


def test_a_td_launched_under_an_old_module_is_advised_to_relaunch() -> None:
    old, new = bytes([3, 1, 4]) + bytes(13), bytes([6, 1, 4]) + bytes(13)
    assert (
        claims_of(TD15.but(body=Td(svn=old, svn2=new))).details["tcb_status"] == "TDRelaunchAdvised"
    )
    assert claims_of(TD15.but(body=Td(svn=old, svn2=old))).details["tcb_status"] == "OutOfDate"
    assert claims_of(TD15.but(body=Td(svn=new, svn2=old))).details["tcb_status"] == "UpToDate"


def test_the_issuer_of_the_pck_list_may_be_reissued_for_its_key_only() -> None:
    raw = SGX.evidence()
    again = SGX.but(windows={PLATFORM_CA: (ISSUED, NOW + timedelta(days=1))})
    chain = {"pck_crl_issuer_chain": again.collateral()["pck_crl_issuer_chain"].encode()}
    claims = verify(replace(raw, endorsements={**raw.endorsements, **chain}), NOW, SGX.pins())
    assert claims.valid_until == NOW + timedelta(days=1)
    for other in (SGX.but(ca=PROCESSOR_CA), SGX.but(signed_by={PLATFORM_CA: "mallory"})):
        chain = {"pck_crl_issuer_chain": other.collateral()["pck_crl_issuer_chain"].encode()}
        with pytest.raises(EvidenceError):
            verify(replace(raw, endorsements={**raw.endorsements, **chain}), NOW, SGX.pins())


def test_the_list_of_the_other_authority_does_not_serve() -> None:
    raw, other = SGX.evidence(), SGX.but(ca=PROCESSOR_CA).evidence()
    swapped = {**raw.endorsements, "pck_crl": other.endorsements["pck_crl"]}
    with pytest.raises(EvidenceError, match="was not issued by"):
        verify(replace(raw, endorsements=swapped), NOW, SGX.pins())


def test_debug_is_a_claim_and_not_a_refusal() -> None:
    assert claims_of(SGX.but(body=Sgx(attributes=b"\x07" + bytes(15)))).debug
    assert claims_of(TD10.but(body=Td(attributes=bytes.fromhex("0100001000000000")))).debug


def test_evidence_is_named_by_its_signed_part() -> None:
    first, second = SGX.evidence(), SGX.evidence()
    assert first.evidence != second.evidence  # other signatures and certificates
    digests = {verify(raw, NOW, SGX.pins()).evidence_digest for raw in (first, second)}
    assert digests == {digest(first.evidence[:432])}
