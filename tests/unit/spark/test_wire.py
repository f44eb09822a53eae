from __future__ import annotations

import socket
import time
from dataclasses import replace
from typing import Any

import pytest

from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.formats.frames import Frame
from mc2.formats.worker_tasks import TrainStep
from mc2.spark.wire import (
    BUSY,
    AskStep,
    AskTask,
    Attach,
    TaskAnswer,
    knows_token,
    parse_request,
    receive,
    send,
)

TOKEN = "ab" * 32
ASK = AskTask(
    token=TOKEN,
    epoch=digest(b"an invitation"),
    folder="attempt-00ff",
    seconds=60,
    partitions=4,
    order=b"an order",
)


def test_requests_survive_their_frames() -> None:
    for asked in (Attach(TOKEN), ASK):
        assert parse_request(asked.frame()) == asked
        assert knows_token(asked, TOKEN)
        assert not knows_token(asked, "cd" * 32)
        assert TOKEN not in repr(asked)


@pytest.mark.parametrize(
    "changes",
    [
        {"folder": "../../etc"},
        {"folder": "a/b"},
        {"folder": ""},
        {"folder": "-a"},
        {"seconds": 0},
        {"partitions": 0},
        {"token": "ab"},
        {"epoch": "none"},
        {"type": "run"},
        {"more": 1},
    ],
)
def test_other_requests_are_refused(changes: dict[str, Any]) -> None:
    frame = ASK.frame()
    with pytest.raises(FormatError):
        parse_request(replace(frame, header={**frame.header, **changes}))


def test_a_request_to_attach_has_no_body() -> None:
    with pytest.raises(FormatError):
        parse_request(replace(Attach(TOKEN).frame(), body=b"more"))


STEP = AskStep(folder="attempt-00ff", seconds=60, step=TrainStep(3, 1, 2, b"a message"))


def test_a_step_survives_its_frame() -> None:
    assert AskStep.parse(STEP.frame()) == STEP
    with pytest.raises(FormatError):
        AskStep.parse(ASK.frame())


@pytest.mark.parametrize(
    "changes",
    [
        {"folder": "../../etc"},
        {"seconds": 0},
        {"node": -1},
        {"partition": -1},
        {"partitions": 0},
        {"token": TOKEN},
    ],
)
def test_other_steps_are_refused(changes: dict[str, Any]) -> None:
    frame = STEP.frame()
    with pytest.raises(FormatError):
        AskStep.parse(replace(frame, header={**frame.header, **changes}))


def test_an_answer_has_a_receipt_or_a_code() -> None:
    for answer in (TaskAnswer(receipt=b"a receipt"), TaskAnswer(code=BUSY, message="m", hint="h")):
        assert TaskAnswer.parse(answer.frame()) == answer
    for wrong in (TaskAnswer(), TaskAnswer(receipt=b"a receipt", code="job")):
        with pytest.raises(FormatError):
            TaskAnswer.parse(wrong.frame())


def test_frames_pass_over_a_socket() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        deadline = time.monotonic() + 60
        send(ours, Frame({"type": "attached"}), deadline)
        assert receive(theirs, deadline).header == {"type": "attached"}
        with pytest.raises(TimeoutError):
            receive(theirs, time.monotonic() - 1)
        ours.close()
        with pytest.raises(ConnectionResetError):
            receive(theirs, deadline)
