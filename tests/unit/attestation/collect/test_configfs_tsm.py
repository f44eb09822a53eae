"""Reports through configfs: what is written when, what is believed, and what always goes again."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.amd_hierarchy import NOW, Amd
from tests.support.fake_tee import (
    TSM,
    FakeMachine,
    FakeTsm,
    Report,
    certificate_table,
    failure,
    quote_over,
    snp_machine,
    snp_report,
    tdx_machine,
)
from tests.support.intel_hierarchy import NOW as INTEL_NOW
from tests.support.intel_hierarchy import Intel, Td

from mc2.attestation.claims import RawEvidence, Tier
from mc2.attestation.collect.configfs_tsm import SnpTsmCollector, TdxTsmCollector
from mc2.attestation.dcap.verify import TdxVerifier
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import AttestationError, EvidenceError

AMD = Amd(revoked=())
TD = Intel(body=Td(), version=4)
DATA = bytes(range(64))


def refused(machine: FakeMachine, match: str, collector=SnpTsmCollector) -> AttestationError:
    with pytest.raises(AttestationError, match=match) as caught:
        collector(machine).collect(DATA)
    assert machine.open_files == 0
    return caught.value


def collected(machine: FakeTsm) -> RawEvidence:
    raw = SnpTsmCollector(machine).collect(DATA)
    assert machine.reports == {}
    assert machine.open_files == 0
    return raw


def test_an_snp_report_with_the_hosts_certificates_verifies() -> None:
    raw = collected(snp_machine(AMD))
    assert raw.kind == SnpTsmCollector.kind == "amd-sev-snp/v1"
    assert raw.endorsements.keys() == {"vcek", "ask", "ark", "crl"}
    claims = SnpVerifier(AMD.pins()).verify(raw, at=NOW)
    assert claims.report_data == DATA
    assert claims.tier == SnpTsmCollector.tier == Tier.HARDWARE_CVM


def test_a_tdx_quote_verifies_with_intels_collateral() -> None:
    machine = tdx_machine(TD)
    raw = TdxTsmCollector(machine).collect(DATA)
    assert (raw.kind, raw.endorsements) == ("intel-tdx/v1", {})
    assert "open auxblob" not in machine.did
    full = replace(raw, endorsements=TD.evidence().endorsements)
    assert TdxVerifier(TD.pins()).verify(full, at=INTEL_NOW).report_data == DATA
    assert machine.reports == {}


@pytest.mark.parametrize("part", [1, 7, 63, 64, 1000])
def test_reads_and_writes_may_come_in_parts(part: int) -> None:
    machine = snp_machine(AMD)
    machine.part = part
    raw = collected(machine)
    assert SnpVerifier(AMD.pins()).verify(raw, at=NOW).report_data == DATA


def test_every_report_has_a_folder_of_its_own_with_a_random_name() -> None:
    machine = snp_machine(AMD)
    for _ in range(3):
        collected(machine)
    assert len(set(machine.names)) == 3
    assert all(len(name) >= len(TSM) + 32 for name in machine.names)
    assert machine.did.count("rmdir") == 3


def test_a_host_without_certificates_gives_none() -> None:
    for table in (None, b"", bytes(4096)):
        assert collected(snp_machine(AMD, table=table)).endorsements == {}


def test_a_vlek_comes_with_its_own_authority() -> None:
    raw = collected(snp_machine(Amd(signing_key="VLEK")))
    assert raw.endorsements.keys() == {"vlek", "asvk", "ark"}


# --- what the kernel may be too busy for ------------------------------------------------------

STEPS = (
    "mkdir", "open provider", "read provider", "open generation", "read generation",
    "open privlevel_floor", "open inblob", "open outblob", "read outblob", "open auxblob",
    "read auxblob", "rmdir",
)  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINTR, errno.EAGAIN])
def test_passing_errors_are_waited_out(step: str, number: int) -> None:
    machine = snp_machine(AMD)
    machine.failures[step] = [number, number]
    collected(machine)
    assert machine.pauses == sorted(machine.pauses)
    assert len(machine.pauses) == 2


@pytest.mark.parametrize("step", [s for s in STEPS if s != "rmdir"])
def test_waiting_has_an_end(step: str) -> None:
    machine = snp_machine(AMD)
    machine.failures[step] = [errno.EBUSY] * 1000
    refused(machine, "still busy after 8 attempts")
    assert 1 < sum(machine.pauses) < 10
    assert machine.reports == {}


@pytest.mark.parametrize("step", [s for s in STEPS if s != "rmdir"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOENT, errno.ENXIO, errno.EFBIG])
def test_other_errors_are_told_at_once(step: str, number: int) -> None:
    machine = snp_machine(AMD)
    machine.failures[step] = [number]
    assert refused(machine, failure(number).strerror).hint
    assert machine.pauses == []
    assert machine.reports == {}


def test_what_only_root_may_do_is_said_so() -> None:
    machine = snp_machine(AMD)
    machine.failures["mkdir"] = [errno.EACCES]
    assert "root" in refused(machine, "Permission denied").hint


def test_a_folder_that_stays_does_not_spoil_the_report() -> None:
    machine = snp_machine(AMD)
    machine.failures["rmdir"] = [errno.EIO]
    assert SnpTsmCollector(machine).collect(DATA).evidence
    assert len(machine.reports) == 1


def test_a_partly_written_inblob_is_not_taken_for_ours() -> None:
    """The kernel takes what was written before the error when the file is closed."""
    machine = snp_machine(AMD)
    machine.part = 40
    machine.failures["write inblob"] = []
    wrote = 0

    def fail_second(what: str) -> None:
        nonlocal wrote
        machine.did.append(what)
        if what == "write inblob":
            wrote += 1
            if wrote == 2:
                raise failure(errno.EINTR)

    machine.may_fail = fail_second  # type: ignore[method-assign]  # a finer schedule of errors
    assert SnpVerifier(AMD.pins()).verify(collected(machine), at=NOW).report_data == DATA
    assert len(machine.names) == 2  # the first folder was given up


# --- generations: the report is about what we wrote, and nothing else ------------------------


def test_a_write_that_the_kernel_dropped_is_noticed_and_made_again() -> None:
    machine = snp_machine(AMD)
    machine.lost = 2
    collected(machine)
    assert len(machine.names) == 3


def test_writes_that_are_dropped_each_time_are_an_error() -> None:
    machine = snp_machine(AMD)
    machine.lost = 1000
    refused(machine, "did not take the report data")
    assert len(machine.names) == 3
    assert machine.reports == {}


@pytest.mark.parametrize(
    "step", ["write inblob", "read outblob", "read auxblob", "read privlevel_floor"]
)
def test_a_second_writer_is_noticed(step: str) -> None:
    def meddle(now: str, report: Report) -> None:
        if now == step:
            report.inblob, report.generation = b"e" * 64, report.generation + 1

    machine = snp_machine(AMD)
    machine.meddle = meddle
    refused(machine, "did not take the report data")
    assert machine.reports == {}


def test_a_second_writer_that_passes_costs_a_folder() -> None:
    meddled: list[str] = []

    def meddle(now: str, report: Report) -> None:
        if now == "read outblob" and not meddled:
            meddled.append(now)
            report.inblob, report.generation = b"e" * 64, report.generation + 1

    machine = snp_machine(AMD)
    machine.meddle = meddle
    assert SnpVerifier(AMD.pins()).verify(collected(machine), at=NOW).report_data == DATA
    assert len(machine.names) == 2


def test_a_kernel_that_lies_about_generations_is_caught_by_the_report_itself() -> None:
    machine = FakeTsm("sev_guest", lambda _: snp_report(AMD, b"e" * 64))
    refused(machine, "about other data")
    refused(tdx_machine(TD, floor=None), "sev_guest")  # and the wrong provider never gets that far
    other = FakeTsm("tdx_guest", lambda _: quote_over(TD, b"e" * 64), floor=None)
    refused(other, "about other data", TdxTsmCollector)
    assert machine.reports == other.reports == {}


@pytest.mark.parametrize("text", [b"", b"\n", b"-1\n", b"7 7\n", b"9" * 40, b"0x7\n"])
def test_a_generation_that_is_no_number_is_refused(text: bytes) -> None:
    machine = snp_machine(AMD)
    machine.generation_text = text
    refused(machine, "not a number")


# --- levels of privilege ---------------------------------------------------------------------


def test_under_a_paravisor_the_floor_is_asked_for_and_counts_as_a_write() -> None:
    machine = snp_machine(AMD, floor=2)
    raw = collected(machine)
    claims = SnpVerifier(AMD.pins()).verify(raw, at=NOW)
    assert (claims.details["vmpl"], claims.report_data) == (2, DATA)


def test_a_floor_beyond_all_levels_is_refused() -> None:
    refused(snp_machine(AMD, floor=4), "beyond 3")


# --- what comes out --------------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["arm_cca_guest", "tdx_guest", "", "sev_guest2", "\xff"])
def test_another_provider_is_refused(provider: str) -> None:
    machine = FakeTsm(provider, lambda r: snp_report(AMD, r.inblob))
    refused(machine, "not 'sev_guest'")
    assert "write inblob" not in machine.did
    assert machine.reports == {}


def test_too_large_outputs_are_refused() -> None:
    big = FakeTsm("sev_guest", lambda r: snp_report(AMD, r.inblob) + b"\0")
    refused(big, "more than 1184 bytes")
    refused(snp_machine(AMD, table=bytes(64 * 1024 + 1)), "more than 65536 bytes")
    quote = FakeTsm("tdx_guest", lambda r: bytes(1 << 20), floor=None)
    quote.part = 5000
    refused(quote, "more than 32768 bytes", TdxTsmCollector)


def test_too_small_or_odd_outputs_are_refused() -> None:
    for raw in (b"", b"\0" * 1184, snp_report(AMD, DATA)[:-1]):
        with pytest.raises(EvidenceError):
            SnpTsmCollector(FakeTsm("sev_guest", lambda _, raw=raw: raw)).collect(DATA)
    table = certificate_table(AMD)
    with pytest.raises(EvidenceError):
        SnpTsmCollector(snp_machine(AMD, table=table[:24] + table[:24] + table)).collect(DATA)


def test_a_quote_of_another_tee_is_refused() -> None:
    machine = FakeTsm("tdx_guest", lambda r: quote_over(Intel(), r.inblob), floor=None)
    refused(machine, "another quote than TDX's", TdxTsmCollector)


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_report_data_have_64_bytes(size: int) -> None:
    machine = snp_machine(AMD)
    with pytest.raises(AttestationError, match="64 bytes"):
        SnpTsmCollector(machine).collect(bytes(size))
    assert machine.names == []


# --- availability ------------------------------------------------------------------------------


def test_says_whether_and_why_not() -> None:
    snp, tdx = snp_machine(AMD), tdx_machine(TD)
    assert SnpTsmCollector(snp).available()
    assert TdxTsmCollector(tdx).available()
    assert SnpTsmCollector(snp).why_not() == ""
    assert not SnpTsmCollector(tdx).available()
    assert "'tdx_guest'" in SnpTsmCollector(tdx).why_not()
    assert "'sev_guest'" in TdxTsmCollector(snp).why_not()
    assert snp.reports == tdx.reports == {}
    assert "does not exist" in SnpTsmCollector(FakeMachine()).why_not()
    snp.failures["mkdir"] = [errno.EACCES]
    assert "Permission denied" in SnpTsmCollector(snp).why_not()
    assert [step for step in snp.did if step.startswith("write")] == []


# --- any schedule of trouble -------------------------------------------------------------------

TROUBLE = st.sampled_from(
    [errno.EBUSY, errno.EINTR, errno.EAGAIN, errno.EIO, errno.ENOENT, errno.EACCES, errno.EFBIG]
)


@given(
    failures=st.dictionaries(
        st.sampled_from((*STEPS, "write inblob")), st.lists(TROUBLE, max_size=4), max_size=4
    ),
    part=st.sampled_from([1, 40, 64, 2000]),
    lost=st.integers(0, 4),
    meddled=st.sets(st.integers(0, 30), max_size=4),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_evidence_is_right_or_refused(
    failures: dict[str, list[int]], part: int, lost: int, meddled: set[int]
) -> None:
    machine = snp_machine(AMD)
    for step, numbers in failures.items():
        machine.failures[step] = list(numbers)
    machine.part, machine.lost = part, lost
    steps = 0

    def meddle(_: str, report: Report) -> None:
        nonlocal steps
        if steps in meddled:
            report.inblob, report.generation = b"e" * 64, report.generation + 1
        steps += 1

    machine.meddle = meddle
    kept = any(n not in {errno.EBUSY, errno.EINTR, errno.EAGAIN} for n in failures.get("rmdir", ()))
    try:
        raw = SnpTsmCollector(machine).collect(DATA)
    except AttestationError:
        pass
    else:
        assert raw.evidence[0x50:0x90] == DATA
        assert raw.endorsements.keys() == {"vcek", "ask", "ark", "crl"}
    assert machine.open_files == 0
    assert kept or machine.reports == {}
    assert len(machine.names) <= 3
