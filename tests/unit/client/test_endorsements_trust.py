"""Hardware evidence in the client: an owner's cache stands behind its verifiers, when needed."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.amd_hierarchy import Amd
from tests.support.party_jobs import NOW, FakeEnclave, Pieces, identity, make_contract

from mc2.attestation.claims import RawEvidence, Verifier
from mc2.attestation.policy import SimulatedSection
from mc2.attestation.snp.verify import SnpVerifier
from mc2.client.desk import Trust
from mc2.client.endorsements import EndorsementCache
from mc2.client.endorsements_complete import CompletingVerifier
from mc2.client.endorsements_fetch import Vendors
from mc2.client.endorsements_import import check_evidence
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import Approved, ContractAccepted
from mc2.client.policy_defaults import proposal
from mc2.client.release import KeyRelease
from mc2.errors import AppraisalError, EvidenceError

SNP = "amd-sev-snp/v1"
AMD = Amd(revoked=())
CONTRACT = make_contract(
    min_tier="hardware-cvm",
    attestation={SNP: proposal(SNP, {"measurements": [AMD.guest.measurement.hex()]})},
)


class SnpCollector:
    """A guest on the synthetic chip, whose host sends no endorsements along."""

    def __init__(self, amd: Amd = AMD) -> None:
        self.amd = amd

    def collect(self, report_data: bytes) -> RawEvidence:
        return RawEvidence(SNP, self.amd.guest_but(report_data=report_data).report())


@pytest.fixture
def cache(tmp_path: Path) -> EndorsementCache:
    cache = EndorsementCache(tmp_path / "endorsements")
    found = check_evidence(AMD.evidence(), Vendors(amd_roots=AMD.pins()), at=NOW)
    cache.keep(found, now=NOW - timedelta(days=1), source="a test")
    return cache


def trust(cache: EndorsementCache) -> Trust:
    return Trust(vendors=lambda: (CompletingVerifier(SnpVerifier(AMD.pins()), cache),))


def release(
    tmp_path: Path, cache: EndorsementCache, collector: SnpCollector
) -> tuple[bytes, FakeEnclave]:
    """The whole way of one owner: challenge, evidence, decision, grant."""
    pieces = Pieces(contract=CONTRACT)
    tmp_path.mkdir(exist_ok=True)
    ledger = Ledger(tmp_path / "ledger.jsonl", identity("ada").signing.public.key_id)
    ledger.begin("ada", NOW - timedelta(days=1))
    approval = pieces.approval("ada")
    key_release = KeyRelease(pieces.signed(), identity("ada"), trust(cache).verifiers_for(CONTRACT))
    enclave = FakeEnclave(pieces)
    enclave.collector = collector
    with ledger.open() as book:
        book.record(ContractAccepted(contract=CONTRACT.digest, name=CONTRACT.name, epoch=1), NOW)
        book.record(
            Approved(
                contract=CONTRACT.digest, plan=pieces.plan.digest, job_id=pieces.job_id,
                proposed=NOW - timedelta(hours=1), approval=approval.digest,
                max_attempts=approval.max_attempts, not_after=approval.not_after,
            ),
            NOW,
        )  # fmt: skip
        challenges = {"ada": key_release.make_challenge(book.state, NOW)}
        challenges["bo"] = pieces.challenge("bo")
        evidence = enclave.attest(challenges)
        at = NOW + timedelta(seconds=1)
        decision = key_release.answer(evidence, book.state, book.next_index, at)
        return decision.release(book, at, lambda _: None), enclave


def test_keys_are_released_on_a_bare_report_completed_from_the_cache(
    tmp_path: Path, cache: EndorsementCache
) -> None:
    grant, enclave = release(tmp_path, cache, SnpCollector())
    assert enclave.open_keys(grant).keys() == {"ada.visits"}


def test_without_the_cache_nothing_is_released(tmp_path: Path) -> None:
    empty = EndorsementCache(tmp_path / "none")
    with pytest.raises(EvidenceError, match="comes without ark, ask, vcek"):
        release(tmp_path, empty, SnpCollector())


def test_the_cache_does_not_soften_anything(tmp_path: Path, cache: EndorsementCache) -> None:
    other = AMD.guest_but(measurement=b"x" * 48)
    with pytest.raises(AppraisalError, match="MEASUREMENT"):
        release(tmp_path / "a", cache, SnpCollector(other))
    forged = AMD.but(signed_by={"report": "mallory"})
    with pytest.raises(EvidenceError, match="signature of the SNP report is false"):
        release(tmp_path / "b", cache, SnpCollector(forged))


def test_hardware_is_loaded_only_where_a_policy_names_it() -> None:
    calls = []

    def vendors() -> tuple[Verifier, ...]:
        calls.append(1)
        return (SnpVerifier(AMD.pins()),)

    trust = Trust(vendors=vendors)
    assert trust.verifiers_for(make_contract()).kinds == ()
    assert calls == []
    assert trust.verifiers_for(CONTRACT).kinds == (SNP,)
    assert calls == [1]
    both = make_contract(
        attestation={**make_contract().attestation, **CONTRACT.attestation}, min_tier="simulated"
    )
    assert trust.verifiers_for(both).kinds == (SNP,)
    assert SimulatedSection.KIND in both.attestation


def test_commands_trust_vendors_by_default_and_load_them_late(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from mc2.cli.options import trust_of\n"
        "assert 'mc2.attestation.vendors' not in sys.modules\n"
        f"trust = trust_of(unsafe_simulation=False, home_folder=Path({str(tmp_path / 'h')!r}))\n"
        "assert 'mc2.attestation.vendors' not in sys.modules\n"
        "assert 'mc2.client.endorsements' not in sys.modules\n"
        "kinds = [v.kind for v in trust.vendors()]\n"
        "assert 'httpx' not in sys.modules\n"
        "print(*kinds)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert {SNP, "intel-tdx/v1", "azure-snp-vtpm/v1"} <= set(done.stdout.split())
    assert not (tmp_path / "h").exists()
