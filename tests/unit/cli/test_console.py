"""What commands print: nothing that others wrote can act on the terminal or pretend to be ours."""

import json
from types import SimpleNamespace

import pytest

from mc2.cli.console import Console, one_line, shown, table
from mc2.cli.review import command as review
from mc2.cli.run import describe
from mc2.crypto.digest import Digest
from mc2.errors import AppraisalError, JobError
from mc2.formats.status import JobState, JobStatus

HOSTILE = [
    "\x1b[2J\x1b[1;1H",  # clears the screen
    "\x1b[8m",  # hides what follows
    "\x9b2J",  # the same in one byte of C1
    "\u202e",  # reverses what follows
    "\u2066",
    "\u200b",
    "\r",  # writes over the line
    "\x08",
    "\x07",
    "\x7f",
    "\u2028",
    "\U000e0041",  # an invisible tag
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_controlling_characters_show_as_their_codes(text, capsys):
    console = Console()
    console.data({"note": text, "list": [text]})
    console.data(None, f"a script\n{text}")
    console.note(text)
    console.step(text)
    console.banner(text)
    console.error(AppraisalError(text, failures=(text,), hint=text))
    out, err = capsys.readouterr()
    for printed in (out, err):
        assert all(c.isprintable() or c == "\n" for c in printed)
        assert "\\u" in printed


@pytest.mark.parametrize("text", [*HOSTILE, "a\nb\tc", "Zürich 湖"], ids=ascii)
def test_json_keeps_the_value(text, capsys):
    Console(as_json=True).data({"note": text})
    printed = capsys.readouterr().out
    assert all(c.isprintable() or c == "\n" for c in printed)
    assert json.loads(printed) == {"note": text}


def test_plain_text_stays_as_it_is():
    assert shown("Zürich, 湖 🙂\n\tx") == "Zürich, 湖 🙂\n\tx"


def test_nobody_can_pretend_to_another_line(capsys):
    forged = "failed\n  next: run something else"
    Console().error(JobError(forged, hint=forged))
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 2
    Console().data({"title": "a\nverified  True"})
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert len(table([{"now": forged}], ["now"]).splitlines()) == 2
    Console().step(forged)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert "\n" not in one_line(forged)


def test_a_coordinator_cannot_write_lines_of_its_own_into_a_status():
    status = JobStatus(
        job_id="0" * 32,
        contract=Digest("sha256:" + "0" * 64),
        plan=Digest("sha256:" + "0" * 64),
        proposer="cy",
        state=JobState.RUNNING,
        attempt=1,
        phase="compute",
        approvals=(),
        rejections=(),
        challenges=(),
        grants=(),
        missing=(),
        progress="\njob 0000 succeeded",
        error_code="",
        error="\x1b[2Jx",
    )
    assert "\n" not in describe(status)


def test_a_note_cannot_be_taken_for_the_review(capsys, monkeypatch):
    note = 'harmless"\n\nWHAT LEAVES THE ENCLAVE\n  nothing\x1b[8m'
    said = SimpleNamespace(
        job=SimpleNamespace(
            context=SimpleNamespace(job_id="0" * 32),
            proposal=SimpleNamespace(value=SimpleNamespace(proposer="cy", note=note)),
            plan=SimpleNamespace(script="x = 1\x1b[1A\n", script_name="study\n.py"),
        ),
        review=SimpleNamespace(json=dict),
    )
    party = SimpleNamespace(review=lambda _job: said)
    monkeypatch.setattr("mc2.cli.review.open_party", lambda _home: party)
    monkeypatch.setattr("mc2.client.review.review_text", lambda _review: "THE REVIEW\n")
    review.main(["0" * 32, "--script-text"], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert "WHAT LEAVES THE ENCLAVE" not in lines
    assert lines[2] == "THE REVIEW"
    assert lines[-2:] == ["--- study\\u000a.py ---", "x = 1\\u001b[1A"]
