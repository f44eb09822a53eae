"""Fetching from a server that plays AMD and Intel, well and badly."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.support import amd_hierarchy, intel_hierarchy
from tests.support.amd_hierarchy import Amd
from tests.support.fake_vendors import FakeVendors, Fault, serving
from tests.support.intel_hierarchy import PROCESSOR_CA, Intel, Machine, Td

from mc2.attestation.claims import RawEvidence
from mc2.client.endorsements_fetch import IntelWants, SnpWants, Wants, chip_wants, fetch, wants_of
from mc2.client.endorsements_http import VendorLine, check_base_url
from mc2.errors import AttestationError, EvidenceError, Mc2Error, UsageError

AMD_NOW, INTEL_NOW = amd_hierarchy.NOW, intel_hierarchy.NOW


@pytest.fixture
def fake() -> Iterator[FakeVendors]:
    with serving(FakeVendors()) as found:
        yield found


def ask(fake: FakeVendors, *wanted: Wants, at=AMD_NOW, patience=120.0, timeout=5.0):
    """Fetch without ever sleeping; the pauses that were taken, and what came."""
    pauses: list[float] = []
    with VendorLine(sleep=pauses.append, patience=patience, timeout=timeout) as line:
        return pauses, fetch(wanted, line, fake.vendors(), at=at)


def chip(fake: FakeVendors) -> SnpWants:
    wants = wants_of(fake.amd.evidence())
    assert isinstance(wants, SnpWants)
    return wants


def platform(fake: FakeVendors) -> IntelWants:
    wants = wants_of(fake.sgx.evidence())
    assert isinstance(wants, IntelWants)
    return wants


@pytest.mark.parametrize("line", ["Genoa", "Turin"])
def test_a_chips_certificates_and_list(fake: FakeVendors, line: str) -> None:
    fake.amd = Amd(line=line, revoked=())
    wants = wants_of(fake.amd.evidence(), line)
    _, found = ask(fake, wants)
    tcb = fake.amd.report()[0x180:0x188].hex()
    assert [e.subject for e in found] == [
        f"amd/{line}/vcek-authority",
        f"amd/{line}/vcek-crl",
        f"amd/{line}/vcek/{fake.amd.chip.hex()}/{tcb}",
    ]
    assert found[1].number == 7
    assert found[2].contents == {"vcek": fake.amd.leaf()} or found[2].contents["vcek"]
    assert chip_wants(line, fake.amd.chip.ljust(64, b"\0").hex(), tcb) == wants


def test_a_vlek_is_asked_for_only_where_it_is_missing(fake: FakeVendors) -> None:
    fake.amd = Amd(signing_key="VLEK", revoked=())
    raw = fake.amd.evidence()
    _, found = ask(fake, wants_of(raw))
    assert [e.subject for e in found] == ["amd/Genoa/vlek-authority", "amd/Genoa/vlek-crl"]
    _, found = ask(fake, wants_of(RawEvidence(raw.kind, raw.evidence, {}), "Genoa"))
    assert found[2].subject.startswith("amd/Genoa/vlek/")


def test_a_vlek_that_amd_keeps_for_providers(fake: FakeVendors) -> None:
    fake.amd = Amd(signing_key="VLEK", revoked=())
    fake.fault("/cert?", Fault(status=403))
    with pytest.raises(AttestationError, match="refuses with status 403") as caught:
        ask(fake, SnpWants(line="Genoa", key="VLEK", tcb=bytes(8)))
    assert "cloud providers" in caught.value.hint


@pytest.mark.parametrize("ca", ["platform", "processor"])
def test_collateral_of_an_intel_platform(ca: str) -> None:
    sgx = Intel(ca=PROCESSOR_CA) if ca == "processor" else Intel()
    with serving(FakeVendors(sgx=sgx)) as fake:
        _, found = ask(fake, wants_of(sgx.evidence()), at=INTEL_NOW)
    assert [(e.subject, e.number) for e in found] == [
        ("intel/sgx/tcb/00806f050000", 19),
        ("intel/sgx/qe", 19),
        ("intel/root-crl", 1),
        (f"intel/pck-crl/{ca}", 1),
    ]


def test_what_two_platforms_share_is_asked_for_once(fake: FakeVendors) -> None:
    fake.tdx = Intel(body=Td(), version=4)
    wanted = (wants_of(fake.tdx.evidence()), wants_of(fake.sgx.evidence()))
    _, found = ask(fake, *wanted, at=INTEL_NOW)
    assert len(found) == 6
    assert len(fake.asked) == len(set(fake.asked)) == 6


def test_questions_say_what_they_give_away(fake: FakeVendors) -> None:
    for wants, secret in ((chip(fake), fake.amd.chip.hex()), (platform(fake), "00806f050000")):
        for question in wants.questions(fake.vendors()):
            tells = "nothing but" not in question.tells
            assert tells == (secret in question.url)
            assert not tells or secret[:16] in question.tells
    assert fake.asked == []


def test_a_busy_service_is_given_the_time_it_asks_for(fake: FakeVendors) -> None:
    fake.fault("cert_chain", Fault(429, {"Retry-After": "7"}), Fault(503))
    pauses, found = ask(fake, chip(fake))
    assert pauses == [7.0, 4.0]
    assert len(found) == 3


@pytest.mark.parametrize("after", ["121", "86400", "99999999999999999999"])
def test_patience_ends(fake: FakeVendors, after: str) -> None:
    fake.fault("cert_chain", Fault(429, {"Retry-After": after}))
    with pytest.raises(AttestationError, match="status 429") as caught:
        ask(fake, chip(fake))
    assert "try again in" in caught.value.hint
    assert len(fake.asked) == 1


@pytest.mark.parametrize("after", ["", "-5", "1e9", "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_odd_waits_become_our_own(fake: FakeVendors, after: str) -> None:
    fake.fault("cert_chain", Fault(429, {"Retry-After": after}))
    assert ask(fake, chip(fake))[0] == [2.0]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_refused(fake: FakeVendors, status: int) -> None:
    fake.fault("cert_chain", Fault(status, {"Location": fake.url + "/vcek/v1/Genoa/cert_chain"}))
    with pytest.raises(AttestationError, match="redirects are not followed"):
        ask(fake, chip(fake))
    assert len(fake.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 418, 500])
def test_errors_are_errors(fake: FakeVendors, status: int) -> None:
    fake.fault("/tcb?", Fault(status))
    with pytest.raises(AttestationError, match=f"status {status}"):
        ask(fake, platform(fake), at=INTEL_NOW)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("cert_chain", "text/html; charset=utf-8"),
        ("crl", "application/json"),
        ("/tcb?", "text/html"),
        ("pckcrl", "text/html"),
        ("RootCA", "application/xhtml+xml"),
        ("qe/identity", "application/octet-stream"),
    ],
)
def test_other_content_types_are_refused(fake: FakeVendors, path: str, kind: str) -> None:
    fake.fault(path, Fault(content_type=kind))
    intel = path not in {"cert_chain", "crl"}
    with pytest.raises(AttestationError, match="answers with"):
        ask(
            fake,
            platform(fake) if intel else chip(fake),
            at=INTEL_NOW if intel else AMD_NOW,
        )


@pytest.mark.parametrize("path", ["cert_chain", "/crl", "SPL="])
def test_truncated_answers_are_refused(fake: FakeVendors, path: str) -> None:
    fake.fault(path, Fault(truncate=20))
    with pytest.raises(AttestationError, match="does not answer in full"):
        ask(fake, chip(fake))


def test_a_service_that_does_not_answer(fake: FakeVendors) -> None:
    fake.fault("cert_chain", Fault(sleep=0.6))
    with pytest.raises(AttestationError, match="ReadTimeout"):
        ask(fake, chip(fake), timeout=0.2)
    wants, fake.url = chip(fake), "http://127.0.0.1:1"
    with pytest.raises(AttestationError, match="ConnectError"):
        ask(fake, wants)


def test_a_drip_does_not_go_on_for_ever(fake: FakeVendors) -> None:
    times = itertools.count(0, 6)  # each look at the clock is six seconds after the one before
    with (
        VendorLine(timeout=5.0, now=lambda: float(next(times))) as line,
        pytest.raises(AttestationError, match="does not finish its answer in 5 s"),
    ):
        line.ask(chip(fake).questions(fake.vendors())[0])


def test_answers_have_a_limit(fake: FakeVendors) -> None:
    fake.fault("cert_chain", Fault(body=b"x" * (2 << 20)))
    with pytest.raises(AttestationError, match="more than"):
        ask(fake, chip(fake))


OTHER_TCB = {"bl": 4, "snp": 29, "ucode": 80}
WRONG_AMD = {
    "another firmware version": (Amd(revoked=(), certified_tcb=OTHER_TCB), "another chip or"),
    "another chip": (Amd(revoked=(), certified_chip=b"\1" * 64), "another chip or firmware"),
    "a false signature": (Amd(revoked=(), signed_by={"leaf": "stranger"}), "signature"),
    "a revoked authority": (Amd(revoked=(0x40001,)), "is revoked"),
    "a false list": (Amd(revoked=(), signed_by={"crl": "stranger"}), "signature"),
    "an old list": (
        Amd(revoked=(), crl_window=(AMD_NOW - timedelta(9), AMD_NOW - timedelta(1))),
        "out of date",
    ),
    "an authority of another line": (Amd(revoked=(), authority_name="SEV-Milan"), "not one of"),
    "an expired authority": (
        Amd(revoked=(), windows={"ASK": (AMD_NOW - timedelta(9), AMD_NOW - timedelta(1))}),
        "ended on",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_AMD)
def test_false_answers_of_amd_are_refused(fake: FakeVendors, wrong: str) -> None:
    wants = chip(fake)
    fake.amd, match = WRONG_AMD[wrong]
    with pytest.raises(EvidenceError, match=match):
        ask(fake, wants)


def test_another_root_is_refused(fake: FakeVendors) -> None:
    pins = fake.amd.pins()
    wants = chip(fake)
    fake.amd = Amd(revoked=(), signed_by={"ARK": "stranger"})
    vendors = fake.vendors()
    with VendorLine() as line, pytest.raises(EvidenceError, match="is not a root"):
        fetch((wants,), line, type(vendors)(amd_kds=fake.url, amd_roots=()), at=AMD_NOW)
    with VendorLine() as line, pytest.raises(EvidenceError):
        fetch((wants,), line, type(vendors)(amd_kds=fake.url, amd_roots=pins), at=AMD_NOW)


LATE = (INTEL_NOW - timedelta(40), INTEL_NOW - timedelta(10))
WRONG_INTEL = {
    "another platform": (Intel(tcb_changes={"fmspc": "00606A000000"}), "another kind"),
    "old TCB info": (Intel(tcb_window=LATE), "TCB info is valid from"),
    "old QE identity": (Intel(qe_window=LATE), "QE identity is valid from"),
    "an old root list": (Intel(root_crl_window=LATE), "out of date"),
    "an old PCK list": (Intel(pck_crl_window=LATE), "out of date"),
    "false TCB info": (Intel(signed_by={"tcb_info": "stranger"}), "signature of Intel's TCB"),
    "a false QE identity": (Intel(signed_by={"qe_identity": "stranger"}), "signature of Intel's"),
    "a revoked issuer": (Intel(root_revokes=(22,)), "is revoked"),
    "a revoked signer": (Intel(root_revokes=(44,)), "is revoked"),
    "another signer": (Intel(signer_name="Intel SGX Something"), "not Intel's signer"),
}


@pytest.mark.parametrize("wrong", WRONG_INTEL)
def test_false_answers_of_intel_are_refused(fake: FakeVendors, wrong: str) -> None:
    wants = platform(fake)
    fake.sgx, match = WRONG_INTEL[wrong]
    with pytest.raises(EvidenceError, match=match):
        ask(fake, wants, at=INTEL_NOW)


@pytest.mark.parametrize("path", ["/tcb?", "qe/identity", "pckcrl"])
def test_statements_need_their_chain(fake: FakeVendors, path: str) -> None:
    fake.fault(path, Fault(drop_chain=True))
    with pytest.raises(EvidenceError, match="chain"):
        ask(fake, platform(fake), at=INTEL_NOW)


def test_an_unknown_platform_is_not_found(fake: FakeVendors) -> None:
    wants = wants_of(Intel(machine=Machine(fmspc="ffffffffffff")).evidence())
    with pytest.raises(AttestationError, match="status 404"):
        ask(fake, wants, at=INTEL_NOW)


@pytest.mark.parametrize(
    "url",
    ["http://kds.example", "ftp://127.0.0.1", "https://", "", "127.0.0.1", "https://h?x=1"],
)
def test_services_are_asked_over_tls_only(url: str) -> None:
    with pytest.raises(UsageError):
        check_base_url(url, "--kds")
    assert check_base_url("https://amd.example/kds/", "--kds") == "https://amd.example/kds"
    assert check_base_url("http://127.0.0.1:80", "--kds") == "http://127.0.0.1:80"


def test_ids_are_checked_before_anybody_is_asked() -> None:
    for line, chip_id, tcb in (
        ("Genoa", "00" * 63, "00" * 8),
        ("Genoa", "00" * 64, "00" * 7),
        ("Turin", "00" * 8 + "01", "00" * 8),
        ("Turin", "xy", "00" * 8),
    ):
        with pytest.raises(UsageError):
            chip_wants(line, chip_id, tcb)


def test_reports_that_leave_it_open_whom_to_ask() -> None:
    raw = Amd().guest_but(version=2).evidence()
    with pytest.raises(UsageError, match="product line"):
        wants_of(RawEvidence(raw.kind, raw.evidence))
    masked = Amd().guest_but(chip_id=bytes(64), key_info=2).evidence()
    with pytest.raises(Mc2Error, match="which chip"):
        wants_of(masked)
    with pytest.raises(UsageError, match="carries all"):
        wants_of(RawEvidence("aws-nitro/v1", b""))
