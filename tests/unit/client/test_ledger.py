"""The ledger: one grant for an attempt, whatever crashes, and no doubt about it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mc2.client import ledger as ledger_module
from mc2.client.ledger import Ledger
from mc2.client.ledger_events import (
    Approved,
    ContractAccepted,
    ContractRevoked,
    Entry,
    Granted,
    JobClosed,
    Refused,
    Rejected,
    Revoked,
)
from mc2.crypto.digest import digest
from mc2.errors import ApprovalError, ContractError, FormatError, LedgerError
from mc2.formats.release import JobContext

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = digest(b"a signing key")
CONTRACT = digest(b"a contract")
PLAN = digest(b"a plan")
JOB = "0a" * 16
LATER = AT + timedelta(days=1)

ACCEPTED = ContractAccepted(contract=CONTRACT, name="trial", epoch=1)
APPROVED = Approved(
    contract=CONTRACT,
    plan=PLAN,
    job_id=JOB,
    proposed=AT,
    approval=digest(b"an approval"),
    max_attempts=3,
    not_after=LATER,
)


def granted(attempt=1, **changes):
    context = JobContext(
        contract=CONTRACT, policy=digest(b"policy"), plan=PLAN, job_id=JOB, attempt=attempt
    )
    return Granted(
        context=replace(context, **changes),
        evidence=digest(b"evidence"),
        challenge=digest(b"challenge"),
        tier="simulated",
        datasets=("clinic_a.visits",),
        grant=digest(b"grant"),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def ledger(path):
    ledger = Ledger(path, KEY)
    ledger.begin("clinic_a", AT)
    return ledger


@pytest.fixture
def approved(ledger):
    ledger.record(ACCEPTED, AT)
    ledger.record(APPROVED, AT)
    return ledger


def events(ledger):
    with ledger.open() as book:
        return [entry.event for entry in book.entries]


# --- rules


def test_records_in_order_and_reads_back(approved, path):
    approved.record(granted(), AT)
    again = events(Ledger(path, KEY))
    assert again[1:] == [ACCEPTED, APPROVED, granted()]
    assert again[0].party == "clinic_a"


def test_every_event_survives_its_line(approved):
    refused = Refused(job_id=JOB, attempt=2, code="appraisal", rules="debug: …")
    rejected = Rejected(job_id="0b" * 16, rejection=digest(b"r"))
    closed = JobClosed(job_id=JOB, outcome="succeeded")
    left = ContractRevoked(contract=CONTRACT)
    for event in (granted(), refused, rejected, closed, left):
        approved.record(event, AT)
    assert events(approved)[3:] == [granted(), refused, rejected, closed, left]


def test_one_grant_for_an_attempt(approved):
    approved.record(granted(1), AT)
    with pytest.raises(LedgerError, match="has had its grant"):
        approved.record(granted(1), AT)
    approved.record(granted(2), AT)


def test_no_more_attempts_than_were_approved(approved):
    for attempt in (1, 2, 3):
        approved.record(granted(attempt), AT)
    with pytest.raises(ApprovalError, match="3 attempts"):
        approved.record(granted(4), AT)


def test_no_grant_without_an_approval(ledger):
    ledger.record(ACCEPTED, AT)
    with pytest.raises(ApprovalError, match="not approved"):
        ledger.record(granted(), AT)


def test_no_grant_without_the_contract(ledger):
    with pytest.raises(ContractError, match="not signed"):
        ledger.record(granted(), AT)
    with pytest.raises(ContractError, match="not signed"):
        ledger.record(APPROVED, AT)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"plan": digest(b"another plan")}, ApprovalError),
        ({"contract": digest(b"another contract")}, ContractError),
        ({"job_id": "0b" * 16}, ApprovalError),
    ],
)
def test_no_grant_for_anything_but_what_was_approved(approved, change, error):
    with pytest.raises(error):
        approved.record(granted(**change), AT)


def test_no_grant_under_another_contract_that_is_in_force_too(approved):
    other = digest(b"another contract")
    approved.record(ContractAccepted(contract=other, name="other", epoch=1), AT)
    with pytest.raises(ApprovalError, match="another plan or contract"):
        approved.record(granted(contract=other), AT)


def test_no_grant_after_the_approval_ended(approved):
    approved.record(granted(1), LATER)
    with pytest.raises(ApprovalError, match="ended on"):
        approved.record(granted(2), LATER + timedelta(seconds=1))


@pytest.mark.parametrize(
    "end",
    [
        Revoked(job_id=JOB),
        Rejected(job_id=JOB, rejection=digest(b"r")),
        JobClosed(job_id=JOB, outcome="failed"),
        ContractRevoked(contract=CONTRACT),
    ],
)
def test_no_grant_after_an_end(approved, end):
    approved.record(granted(1), AT)
    approved.record(end, AT)
    with pytest.raises((ApprovalError, ContractError)):
        approved.record(granted(2), AT)
    with approved.open() as book:
        assert book.state.approved_jobs() == []
    with pytest.raises((LedgerError, ContractError)):
        approved.record(end, AT)


def test_a_rejection_stands(approved):
    rejected = Rejected(job_id="0b" * 16, rejection=digest(b"r"))
    approved.record(rejected, AT)
    with pytest.raises(LedgerError, match="rejected here before"):
        approved.record(replace(APPROVED, job_id="0b" * 16), AT)
    with pytest.raises(LedgerError):
        approved.record(rejected, AT)
    approved.record(Revoked(job_id=JOB), AT)
    with pytest.raises(LedgerError, match="revoked here before"):
        approved.record(APPROVED, AT)


def test_an_approval_can_be_renewed_and_grants_still_count(approved):
    approved.record(granted(1), AT)
    later = LATER + timedelta(days=1)
    approved.record(replace(APPROVED, not_after=later, max_attempts=2), AT)
    with pytest.raises(LedgerError, match="has had its grant"):
        approved.record(granted(1), LATER)
    approved.record(granted(2), later)
    with pytest.raises(ApprovalError, match="2 attempts"):
        approved.record(granted(3), AT)


def test_an_approval_is_never_moved_to_another_plan(approved):
    with pytest.raises(LedgerError, match="another plan"):
        approved.record(replace(APPROVED, plan=digest(b"another plan")), AT)


def test_an_approval_that_has_ended_is_none(ledger):
    ledger.record(ACCEPTED, AT)
    with pytest.raises(ApprovalError):
        ledger.record(replace(APPROVED, not_after=AT - timedelta(seconds=1)), AT)


@pytest.mark.parametrize("event", [Revoked(job_id=JOB), JobClosed(job_id=JOB, outcome="failed")])
def test_nothing_to_end_is_an_error(ledger, event):
    with pytest.raises(LedgerError, match="not approved"):
        ledger.record(event, AT)


def test_epochs_only_grow(ledger):
    ledger.record(replace(ACCEPTED, epoch=4), AT)
    for epoch in (3, 4):
        with pytest.raises(ContractError, match="not newer"):
            ledger.record(replace(ACCEPTED, contract=digest(b"old"), epoch=epoch), AT)
    with pytest.raises(LedgerError, match="before"):
        ledger.record(replace(ACCEPTED, epoch=5), AT)
    ledger.record(replace(ACCEPTED, contract=digest(b"new"), epoch=5), AT)


def test_a_refused_event_leaves_no_trace(approved, path):
    before = path.read_bytes()
    with pytest.raises(ApprovalError):
        approved.record(granted(9), AT)
    assert path.read_bytes() == before


def test_two_beginnings_are_an_error(ledger):
    beginning = events(ledger)[0]
    with pytest.raises(LedgerError):
        ledger.record(beginning, AT)


# --- the file


def test_is_private_and_on_its_own_lines(approved, path):
    assert path.stat().st_mode & 0o777 == 0o600
    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [Entry.parse(line).index for line in lines] == [0, 1, 2]


def test_is_never_begun_twice(approved, path):
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="there is a ledger"):
        Ledger(path, KEY).begin("clinic_a", AT)
    assert path.read_bytes() == before


def test_another_party_s_ledger_is_refused(approved, path):
    with pytest.raises(LedgerError, match="another party"):
        events(Ledger(path, digest(b"another key")))


@pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.head"])
def test_a_lost_ledger_grants_nothing(approved, path, name):
    path.with_name(name).unlink()
    with pytest.raises(LedgerError, match="lost") as refused:
        approved.record(granted(), AT)
    assert "--new-ledger" in refused.value.hint


def test_a_new_ledger_keeps_the_old_and_knows_that_it_forgot(approved, path, tmp_path):
    before = path.read_bytes()
    path.with_suffix(".head").unlink()
    approved.begin("clinic_a", AT + timedelta(hours=1), replaces_lost=True)
    (kept,) = tmp_path.glob("ledger.jsonl.lost-*")
    assert kept.read_bytes() == before
    with pytest.raises(ContractError):
        approved.record(granted(), AT)
    approved.record(ACCEPTED, AT)
    begun = AT + timedelta(hours=1)
    for proposed in (APPROVED.proposed, begun, begun + timedelta(minutes=5)):
        with pytest.raises(ApprovalError, match="took the place of a lost one"):
            approved.record(replace(APPROVED, proposed=proposed), AT)
    approved.record(replace(APPROVED, proposed=AT + timedelta(hours=2)), AT)


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_entries_cut_off_at_the_end_are_noticed(approved, path, kept):
    approved.record(granted(), AT)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    with pytest.raises(LedgerError, match="lost entries"):
        approved.record(granted(2), AT)


def test_an_acknowledged_entry_cut_in_two_is_noticed(approved, path):
    approved.record(granted(), AT)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(LedgerError, match="lost entries"):
        events(approved)


@pytest.mark.parametrize("cut", [1, 2, 40, 10_000])
def test_a_torn_entry_that_nobody_was_told_of_is_dropped(approved, path, monkeypatch, cut):
    crash_before_acknowledging(approved, monkeypatch)
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    path.write_bytes(whole[: max(start + 1, len(whole) - cut)])
    assert len(events(approved)) == 3
    approved.record(granted(), AT)
    assert len(events(approved)) == 4


def test_a_torn_entry_with_its_line_end_is_dropped_too(approved, path):
    with path.open("ab") as file:
        file.write(b"\0" * 300 + b"\n")
    approved.record(granted(), AT)
    assert len(events(approved)) == 4


def test_a_whole_entry_that_nobody_was_told_of_counts(approved, path, monkeypatch):
    crash_before_acknowledging(approved, monkeypatch)
    with pytest.raises(LedgerError, match="has had its grant"):
        approved.record(granted(), AT)
    assert len(events(approved)) == 4


def crash_before_acknowledging(ledger, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(ledger_module, "replace_file", fail)
        with pytest.raises(LedgerError, match="could not be written"):
            ledger.record(granted(), AT)


def fail(*_):
    raise OSError(28, "No space left on device")


def test_after_a_failed_write_the_book_takes_no_more(approved, monkeypatch):
    with approved.open() as book:
        monkeypatch.setattr(ledger_module, "replace_file", fail)
        with pytest.raises(LedgerError, match="could not be written"):
            book.record(granted(1), AT)
        with pytest.raises(LedgerError, match="failed before"):
            book.record(granted(2), AT)


@pytest.mark.parametrize("line", [0, 1, 2])
def test_any_altered_entry_is_noticed(approved, path, line):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"2026-03-01T12", b"2026-03-01T11", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError):
        events(approved)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[2], lines[1]],
        lambda lines: [lines[0], lines[2]],
        lambda lines: lines[1:],
        lambda lines: [*lines, lines[-1], lines[-1]],
        lambda lines: [*lines, b"{}\n", b"{}\n"],
        lambda lines: [b"\n", *lines],
        lambda lines: [lines[0], b" " + lines[1], lines[2]],
    ],
)
def test_any_other_damage_is_noticed(approved, path, change):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(change(lines)))
    with pytest.raises(LedgerError):
        events(approved)


def test_an_old_copy_of_the_ledger_is_noticed(approved, path):
    old = path.read_bytes()
    approved.record(granted(), AT)
    path.write_bytes(old)
    with pytest.raises(LedgerError, match="lost entries"):
        approved.record(granted(), AT)


def test_a_forged_history_is_noticed(approved, path, tmp_path):
    other_path = tmp_path / "other" / "ledger.jsonl"
    other_path.parent.mkdir()
    other = Ledger(other_path, KEY)
    other.begin("clinic_a", AT)
    other.record(ACCEPTED, AT)
    other.record(replace(APPROVED, max_attempts=9), AT)
    path.write_bytes(other_path.read_bytes())
    with pytest.raises(LedgerError):
        events(approved)


def test_a_chain_that_breaks_the_rules_is_noticed(approved, path):
    approved.record(granted(), AT)
    with approved.open() as book:
        last = book.entries[-1]
    again = Entry(index=last.index + 1, previous=last.digest, time=AT, event=last.event)
    with path.open("ab") as file:
        file.write(again.encode() + b"\n")
    with pytest.raises(LedgerError, match="contradicts itself"):
        events(approved)


def test_entries_are_strict():
    entry = Entry(index=3, previous=digest(b"x"), time=AT, event=granted())
    raw = entry.encode()
    assert Entry.parse(raw) == entry
    for bad in (
        raw.replace(b'"granted"', b'"lent"'),
        raw.replace(b'"index":3', b'"index":-1'),
        raw.replace(b'"tier"', b'"tiers"'),
        raw.replace(b'"datasets":["clinic_a.visits"]', b'"datasets":["x"]'),
        raw.replace(b'"datasets":["clinic_a.visits"]', b'"datasets":[1]'),
        raw + b" ",
        b"",
    ):
        with pytest.raises(FormatError):
            Entry.parse(bad)


def test_entries_that_were_read_before_are_not_parsed_again(approved, monkeypatch):
    with approved.open() as book:
        before = book.entries
    monkeypatch.setattr(Entry, "parse", None)
    with approved.open() as book:
        assert book.entries == before


def test_two_agents_at_once_give_one_grant(approved, path):
    outcomes: list[str] = []

    def try_to_grant():
        try:
            Ledger(path, KEY).record(granted(), AT)
            outcomes.append("granted")
        except LedgerError:
            outcomes.append("refused")

    threads = [threading.Thread(target=try_to_grant) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["granted"] + ["refused"] * 5
