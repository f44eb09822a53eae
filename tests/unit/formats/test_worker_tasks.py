"""The messages about tasks read back as they were sent, and nothing else reads."""

from __future__ import annotations

import pytest

from mc2.crypto.digest import digest
from mc2.errors import FormatError
from mc2.formats.frames import Frame
from mc2.formats.worker import parse_from_enclave, parse_from_host
from mc2.formats.worker_tasks import (
    Assign,
    AssignTraining,
    Await,
    Ended,
    Keep,
    Task,
    TaskDone,
    TrainDone,
    TrainStep,
)

ORDER = Task(3, b"order")
STEP = TrainStep(4, 1, 3, b"message")


@pytest.mark.parametrize(
    "message",
    [ORDER, STEP, Ended(), Ended(worker="w", receipt=b"r"), Ended(worker="w", code="engine")],
)
def test_what_a_host_says_reads_back(message):
    assert parse_from_host(message.frame()) == message


@pytest.mark.parametrize(
    "message",
    [
        TrainDone(b"a"),
        AssignTraining("worker_1", STEP),
        TaskDone(b"r"),
        Keep(digest(b"b"), b"b"),
        Assign("worker_1", ORDER),
        Await(wait=True),
    ],
)
def test_what_an_enclave_says_reads_back(message):
    assert parse_from_enclave(message.frame()) == message


@pytest.mark.parametrize(
    "header",
    [
        {"type": "task", "partitions": 0},
        {"type": "task", "partitions": 1025},
        {"type": "task"},
        {"type": "train", "node": 0, "partition": 0, "partitions": 0},
        {"type": "train", "node": -1, "partition": 0, "partitions": 1},
        {"type": "train", "partition": 0, "partitions": 1},
        {"type": "ended", "worker": "w"},
    ],
)
def test_a_host_is_read_strictly(header):
    with pytest.raises(FormatError):
        parse_from_host(Frame(header))


@pytest.mark.parametrize(
    "header",
    [
        {"type": "assign", "worker": "No Name", "partitions": 1},
        {"type": "await", "wait": 1},
        {"type": "assign_training", "worker": "", "node": 0, "partition": 0, "partitions": 1},
        {"type": "keep", "digest": "sha256:0"},
    ],
)
def test_an_enclave_is_read_strictly(header):
    with pytest.raises(FormatError):
        parse_from_enclave(Frame(header))
