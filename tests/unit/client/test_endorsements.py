"""The cache: what comes in, what never goes back, and what evidence gets from it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from tests.support import amd_hierarchy, intel_hierarchy
from tests.support.amd_hierarchy import Amd
from tests.support.intel_hierarchy import Intel, Td

from mc2.attestation.azure import SNP_KIND as AZURE_SNP_KIND
from mc2.attestation.azure.evidence import AzureEvidence
from mc2.attestation.claims import RawEvidence
from mc2.attestation.dcap.endorsements import ENDORSEMENTS, ROOT_CRL
from mc2.attestation.dcap.verify import SgxVerifier, TdxVerifier
from mc2.attestation.snp.verify import SnpVerifier
from mc2.client.endorsements import EndorsementCache
from mc2.client.endorsements_complete import CompletingVerifier, complete
from mc2.client.endorsements_fetch import Vendors
from mc2.client.endorsements_import import check_evidence, read_endorsements
from mc2.client.endorsements_index import Endorsement, Index
from mc2.errors import AttestationError, EvidenceError, FormatError, UsageError

AMD_NOW, INTEL_NOW = amd_hierarchy.NOW, intel_hierarchy.NOW
DAY = timedelta(days=1)


@pytest.fixture
def cache(tmp_path: Path) -> EndorsementCache:
    return EndorsementCache(tmp_path / "endorsements")


def vendors(amd: Amd | None = None, intel: Intel | None = None) -> Vendors:
    return Vendors(amd_roots=(amd or Amd()).pins(), intel_roots=(intel or Intel()).pins())


def keep_amd(cache: EndorsementCache, amd: Amd, at: datetime = AMD_NOW) -> tuple[Endorsement, ...]:
    found = check_evidence(amd.evidence(), vendors(amd), at=at)
    return cache.keep(found, now=at, source="a test")


def keep_intel(
    cache: EndorsementCache, intel: Intel, at: datetime = INTEL_NOW
) -> tuple[Endorsement, ...]:
    found = check_evidence(intel.evidence(), vendors(intel=intel), at=at)
    return cache.keep(found, now=at, source="a test")


def bare(raw: RawEvidence) -> RawEvidence:
    return RawEvidence(raw.kind, raw.evidence)


def numbered(number: int, issued: datetime = intel_hierarchy.ISSUED, days: int = 30) -> Intel:
    window = (issued, issued + days * DAY)
    return Intel(
        tcb_window=window,
        qe_window=window,
        pck_crl_window=window,
        root_crl_window=window,
        tcb_changes={"tcbEvaluationDataNumber": number},
        qe_changes={"tcbEvaluationDataNumber": number},
    )


# --- completing


@pytest.mark.parametrize("line", ["Milan", "Genoa", "Turin"])
@pytest.mark.parametrize("key", ["VCEK", "VLEK"])
def test_an_snp_report_gets_all_that_it_lacks(cache: EndorsementCache, line: str, key: str) -> None:
    amd = Amd(line=line, signing_key=key, revoked=())
    keep_amd(cache, amd)
    raw = amd.evidence()
    for lacking in (*((name,) for name in raw.endorsements), tuple(raw.endorsements)):
        left = {name: der for name, der in raw.endorsements.items() if name not in lacking}
        whole = complete(replace(raw, endorsements=left), cache, AMD_NOW)
        assert whole.endorsements.keys() == raw.endorsements.keys()
        claims = SnpVerifier(amd.pins()).verify(whole, at=AMD_NOW)
        assert claims.details["crl"] is not None


@pytest.mark.parametrize("intel", [Intel(), Intel(body=Td(), version=4)], ids=["sgx", "tdx"])
def test_a_quote_gets_all_that_it_lacks(cache: EndorsementCache, intel: Intel) -> None:
    keep_intel(cache, intel)
    raw = intel.evidence()
    verifier = (TdxVerifier if intel.tdx else SgxVerifier)(intel.pins())
    completing = CompletingVerifier(verifier, cache)
    assert (completing.kind, completing.tier) == (verifier.kind, verifier.tier)
    for lacking in (*((name,) for name in ENDORSEMENTS), ENDORSEMENTS):
        left = {name: part for name, part in raw.endorsements.items() if name not in lacking}
        claims = completing.verify(replace(raw, endorsements=left), at=INTEL_NOW)
        assert claims.details["tcb_status"] == "UpToDate"


def test_azure_evidence_gets_what_its_hardware_lacks(cache: EndorsementCache) -> None:
    amd = Amd(revoked=())
    keep_amd(cache, amd)
    evidence = AzureEvidence(
        report=amd.report(), runtime_data=b"{}", quote=b"q", signature=b"s", pcrs={0: bytes(32)}
    )
    raw = RawEvidence(AZURE_SNP_KIND, evidence.encode(), {"event_log": b"log"})
    found = complete(raw, cache, AMD_NOW).endorsements
    assert found.keys() == {"event_log", "vcek", "ask", "ark", "crl"}


def test_an_empty_cache_changes_nothing_and_makes_no_folder(
    cache: EndorsementCache, tmp_path: Path
) -> None:
    for raw, at in ((Amd().evidence(), AMD_NOW), (Intel().evidence(), INTEL_NOW)):
        assert complete(raw, cache, at) == raw
        assert complete(bare(raw), cache, at).endorsements == {}
    other = RawEvidence("aws-nitro/v1", b"whatever", {"x": b"y"})
    assert complete(other, cache, AMD_NOW) is other
    assert not list(tmp_path.iterdir())


def test_another_chips_certificate_is_not_used(cache: EndorsementCache) -> None:
    keep_amd(cache, Amd(revoked=()))
    other = Amd(certified_chip=b"\2" * 64).guest_but(chip_id=b"\2" * 64)
    found = complete(bare(other.evidence()), cache, AMD_NOW).endorsements
    assert "vcek" not in found
    with pytest.raises(EvidenceError, match="comes without"):
        SnpVerifier(other.pins()).verify(
            complete(bare(other.evidence()), cache, AMD_NOW), at=AMD_NOW
        )


def test_the_vlek_is_the_one_that_signed(cache: EndorsementCache) -> None:
    keep_amd(cache, Amd(signing_key="VLEK", revoked=()))
    other = Amd(signing_key="VLEK", revoked=(), signed_by={"report": "another provider"})
    assert "vlek" not in complete(bare(other.evidence()), cache, AMD_NOW).endorsements


def test_what_ended_is_not_used(cache: EndorsementCache) -> None:
    keep_intel(cache, Intel())
    keep_amd(cache, Amd(revoked=()))
    after = INTEL_NOW + 28 * DAY
    assert complete(bare(Intel().evidence()), cache, after).endorsements == {}
    found = complete(bare(Amd().evidence()), cache, AMD_NOW + 21 * DAY).endorsements
    assert found.keys() == {"vcek", "ask", "ark"}


# --- rollback


def test_the_hosts_older_lists_give_way_to_newer_ones(cache: EndorsementCache) -> None:
    new = numbered(20, INTEL_NOW - DAY)
    keep_intel(cache, new)
    verifier = CompletingVerifier(SgxVerifier(new.pins()), cache)
    found = verifier.verify(numbered(17, INTEL_NOW - 9 * DAY).evidence(), at=INTEL_NOW)
    assert found.details["tcb_evaluation_number"] == 20
    # A host with something newer than the cache keeps it.
    found = verifier.verify(numbered(21, INTEL_NOW).evidence(), at=INTEL_NOW)
    assert found.details["tcb_evaluation_number"] == 21


def test_the_hosts_older_revocation_list_gives_way(cache: EndorsementCache) -> None:
    window = (AMD_NOW - DAY, AMD_NOW + 20 * DAY)
    amd = Amd(revoked=())
    keep_amd(cache, amd.but(crl_window=window))
    old = amd.evidence()
    found = complete(old, cache, AMD_NOW)
    assert found.endorsements["crl"] != old.endorsements["crl"]
    assert {n: d for n, d in found.endorsements.items() if n != "crl"} == {
        n: d for n, d in old.endorsements.items() if n != "crl"
    }


def test_a_rolled_back_list_without_a_valid_newer_one_is_refused(cache: EndorsementCache) -> None:
    keep_intel(cache, numbered(20, INTEL_NOW - 2 * DAY, days=5))
    late = INTEL_NOW + 10 * DAY
    with pytest.raises(EvidenceError, match="older intel/sgx/tcb"):
        complete(numbered(17, INTEL_NOW - 3 * DAY).evidence(), cache, late)


def test_proofs_of_old_jobs_stay_valid(cache: EndorsementCache) -> None:
    """What was seen later says nothing about evidence that was good in its own time."""
    old = numbered(17, INTEL_NOW - 9 * DAY)
    keep_intel(cache, old, INTEL_NOW - 9 * DAY)
    keep_intel(cache, numbered(20, INTEL_NOW), INTEL_NOW)
    verifier = CompletingVerifier(SgxVerifier(old.pins()), cache)
    for raw in (old.evidence(), bare(old.evidence())):
        found = verifier.verify(raw, at=INTEL_NOW - 8 * DAY)
        assert found.details["tcb_evaluation_number"] == 17
        found = verifier.verify(raw, at=INTEL_NOW + DAY)
        assert found.details["tcb_evaluation_number"] == 20


@pytest.mark.parametrize(
    "older",
    [
        numbered(18),
        numbered(19, intel_hierarchy.ISSUED - DAY),
        replace(numbered(19), qe_changes={"tcbEvaluationDataNumber": 18}),
        replace(numbered(19), pck_crl_window=(INTEL_NOW - 9 * DAY, INTEL_NOW + DAY)),
        replace(numbered(19), root_crl_window=(INTEL_NOW - 9 * DAY, INTEL_NOW + DAY)),
    ],
    ids=["number", "date", "qe", "pck list", "root list"],
)
def test_nothing_older_comes_in(cache: EndorsementCache, tmp_path: Path, older: Intel) -> None:
    keep_intel(cache, numbered(19))
    before = (tmp_path / "endorsements" / "index.json").read_bytes()
    with pytest.raises(AttestationError, match="is older than"):
        keep_intel(cache, older)
    assert (tmp_path / "endorsements" / "index.json").read_bytes() == before
    # Durable: another process, with the files of the old list gone, knows it still.
    for file in (tmp_path / "endorsements" / "files").iterdir():
        file.unlink()
    with pytest.raises(AttestationError, match="is older than"):
        keep_intel(EndorsementCache(tmp_path / "endorsements"), older)


def test_an_older_list_of_amd_does_not_come_in(cache: EndorsementCache) -> None:
    keep_amd(cache, Amd(revoked=()))
    with pytest.raises(AttestationError, match="amd/Genoa/vcek-crl"):
        keep_amd(cache, Amd(revoked=(), crl_window=(AMD_NOW - 11 * DAY, AMD_NOW + 20 * DAY)))
    keep_amd(cache, Amd(line="Turin", revoked=(), crl_window=(AMD_NOW - 11 * DAY, AMD_NOW + DAY)))


@given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_numbers_and_dates_never_go_down(steps: list[tuple[int, int]]) -> None:
    index, best = Index(), (0, INTEL_NOW - 99 * DAY)
    for clock, (number, day) in enumerate(steps):
        issued = INTEL_NOW + day * DAY
        found = Endorsement(
            subject="s", contents={"x": bytes([number, day])}, ordered=True, number=number,
            issued=issued, ends=issued + DAY,
        )  # fmt: skip
        now = INTEL_NOW + timedelta(hours=clock)
        if number < best[0] or issued < best[1]:
            with pytest.raises(AttestationError):
                index.with_kept((found,), now=now, source="t")
        else:
            best = (number, issued)
            index = Index.parse(index.with_kept((found,), now=now, source="t").encode())
            seen = index.seen("s", now)
            assert seen is not None
            assert (seen.number, seen.issued) == best


def test_the_past_is_bounded_and_keeps_the_newest() -> None:
    index = Index()
    for day in range(100):
        found = Endorsement(
            subject="s", contents={"x": bytes([day])}, ordered=True, number=None,
            issued=INTEL_NOW + day * DAY, ends=INTEL_NOW + (day + 2) * DAY,
        )  # fmt: skip
        index = index.with_kept((found, found), now=INTEL_NOW + day * DAY, source="t")
    entries = index.subjects["s"]
    assert len(entries) == 64
    assert entries[-1].issued == INTEL_NOW + 99 * DAY


# --- files


def test_what_is_kept_is_private_and_named_by_digest(
    cache: EndorsementCache, tmp_path: Path
) -> None:
    keep_amd(cache, Amd(revoked=()))
    folder = tmp_path / "endorsements"
    assert folder.stat().st_mode & 0o077 == 0
    names = {path.name for path in (folder / "files").iterdir()}
    assert len(names) == 4
    assert all(name.startswith("sha256-") for name in names)


def test_a_home_that_is_made_for_it_is_private(tmp_path: Path) -> None:
    keep_amd(EndorsementCache(tmp_path / "home" / "endorsements"), Amd(revoked=()))
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0


def test_what_another_process_kept_is_seen(cache: EndorsementCache, tmp_path: Path) -> None:
    keep_intel(cache, numbered(19))
    assert cache.index().subjects["intel/sgx/qe"][-1].number == 19
    keep_intel(EndorsementCache(tmp_path / "endorsements"), numbered(20))
    assert cache.index().subjects["intel/sgx/qe"][-1].number == 20


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_damaged_files_are_not_used(
    cache: EndorsementCache, tmp_path: Path, damage: bytes | None
) -> None:
    keep_intel(cache, Intel())
    for file in (tmp_path / "endorsements" / "files").iterdir():
        file.unlink() if damage is None else file.write_bytes(damage)
    with pytest.raises(AttestationError, match="missing or damaged"):
        complete(bare(Intel().evidence()), cache, INTEL_NOW)
    keep_intel(cache, Intel())  # fetching again mends it
    complete(bare(Intel().evidence()), cache, INTEL_NOW)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(type="mc2/endorsements/v2"),
        lambda v: v.update(more=1),
        lambda v: v.update(subjects=[]),
        lambda v: v["subjects"].update({"": next(iter(v["subjects"].values()))}),
        lambda v: v["subjects"].update(empty=[]),
        lambda v: v["subjects"]["intel/root-crl"][0].update(number="01"),
        lambda v: v["subjects"]["intel/root-crl"][0].update(number=1),
        lambda v: v["subjects"]["intel/root-crl"][0].update(number="-1"),
        lambda v: v["subjects"]["intel/root-crl"][0].update(files={}),
        lambda v: v["subjects"]["intel/root-crl"][0]["files"].update(x="../../etc/passwd"),
        lambda v: v["subjects"]["intel/root-crl"][0].update(kept="yesterday"),
        lambda v: v["subjects"]["intel/root-crl"][0].pop("ordered"),
    ],
)
def test_a_damaged_index_is_refused(cache: EndorsementCache, tmp_path: Path, change) -> None:
    keep_intel(cache, Intel())
    file = tmp_path / "endorsements" / "index.json"
    value = json.loads(file.read_bytes())
    change(value)
    file.write_bytes(json.dumps(value, separators=(",", ":"), sort_keys=True).encode())
    with pytest.raises(FormatError):
        complete(bare(Intel().evidence()), cache, INTEL_NOW)
    with pytest.raises(FormatError):  # never begun anew: what was seen would be forgotten
        keep_intel(cache, Intel())


# --- import


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def test_import_of_loose_files(tmp_path: Path) -> None:
    amd = Amd(revoked=())
    chain = amd.authority_certificate(), amd.root()
    (tmp_path / "cert_chain.pem").write_bytes(b"".join(map(pem, chain)))
    (tmp_path / "vcek.der").write_bytes(amd.leaf())
    (tmp_path / "genoa.crl").write_bytes(amd.crl())
    (tmp_path / "README").write_text("not looked at")
    found = read_endorsements(tmp_path, vendors(amd), at=AMD_NOW)
    assert [e.subject.split("/")[2] for e in found] == ["vcek-authority", "vcek", "vcek-crl"]
    found = read_endorsements(tmp_path / "cert_chain.pem", vendors(amd), at=AMD_NOW)
    assert [e.subject for e in found] == ["amd/Genoa/vcek-authority"]


def test_import_of_collateral(tmp_path: Path) -> None:
    for intel, tee in ((Intel(), "sgx"), (Intel(body=Td(), version=4), "tdx")):
        file = tmp_path / "collateral.json"
        file.write_text(json.dumps(intel.collateral()))
        for path in (file, tmp_path):
            found = read_endorsements(path, vendors(intel=intel), at=INTEL_NOW)
            assert found[0].subject == f"intel/{tee}/tcb/00806f050000"


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"vcek.der": Amd().leaf()}, "without AMD's chain"),
        ({"a.crl": Amd(revoked=()).crl()}, "without the chain of its issuer"),
        ({"ask.der": Amd().authority_certificate()}, "without its root"),
        ({"ark.der": Amd().root()}, "without an authority"),
        ({"x.der": b"junk"}, "does not decode"),
        ({"x.pem": b"-----BEGIN CERTIFICATE-----\n"}, "plain PEM"),
    ],
    ids=["leaf", "list", "authority", "root", "junk", "pem"],
)
def test_parts_that_nobody_can_check_are_refused(
    tmp_path: Path, files: dict[str, bytes], match: str
) -> None:
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(EvidenceError, match=match):
        read_endorsements(tmp_path, vendors(), at=AMD_NOW)


def test_other_roots_do_not_come_in(tmp_path: Path) -> None:
    amd = Amd()
    for name, der in amd.evidence().endorsements.items():
        (tmp_path / f"{name}.der").write_bytes(der)
    with pytest.raises(EvidenceError, match="not a root that is trusted"):
        read_endorsements(tmp_path, Vendors(), at=AMD_NOW)


def test_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no endorsements"):
        read_endorsements(tmp_path, vendors(), at=AMD_NOW)
    with pytest.raises(UsageError, match="cannot be read"):
        read_endorsements(tmp_path / "nowhere", vendors(), at=AMD_NOW)
    with pytest.raises(UsageError, match="no endorsements to keep"):
        check_evidence(RawEvidence("aws-nitro/v1", b""), vendors(), at=AMD_NOW)
    raw = Intel().evidence()
    part = {ROOT_CRL: raw.endorsements[ROOT_CRL]}
    with pytest.raises(UsageError, match="no endorsements to keep"):
        check_evidence(replace(raw, endorsements=part), vendors(), at=INTEL_NOW)
    (tmp_path / "x.json").write_text(json.dumps({**Intel().collateral(), "tcb_info": "{}"}))
    with pytest.raises(EvidenceError, match="neither for SGX nor for TDX"):
        read_endorsements(tmp_path / "x.json", vendors(), at=INTEL_NOW)
