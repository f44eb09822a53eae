"""Metrics of jobs have one encoding each, within bounds."""

import pytest

from mc2.errors import FormatError
from mc2.formats.canonical import decode, encode
from mc2.formats.frames import Frame
from mc2.formats.job_metrics import (
    METRICS_BYTES,
    MOST_TRAININGS,
    NO_METRICS,
    JobMetrics,
    StageMetrics,
    TrainingMetrics,
    WorkerMetrics,
)
from mc2.formats.limits import LIMITS
from mc2.formats.worker import parse_from_enclave
from mc2.formats.worker_progress import (
    MOST_OPERATIONS,
    MOST_ROUNDS,
    MOST_STAGES,
    RoundTrained,
    Said,
    StageBegun,
    StageHead,
    StagesCut,
    round_trained,
)

STAGE = StageMetrics(
    head=StageHead(("filter", "aggregate"), 4),
    done=3,
    lost=1,
    blocks_in=10,
    bytes_in=1000,
    blocks_out=2,
    bytes_out=64,
    milliseconds=1500,
)
METRICS = JobMetrics(
    stages=(STAGE,),
    trainings=(TrainingMetrics(node=7, done=2, of=20, milliseconds=90),),
    workers=(WorkerMetrics(name="worker_1", peak_bytes=1 << 30),),
)


def changed(part, **fields):
    value = METRICS.json()
    value[part][0].update(fields)
    return value


def test_metrics_read_back():
    assert JobMetrics.read(METRICS.json()) == METRICS
    assert JobMetrics.read(NO_METRICS.json()) == NO_METRICS


@pytest.mark.parametrize(
    "value",
    [
        changed("stages", done=5),
        changed("stages", tasks=0),
        changed("stages", lost=-1),
        changed("stages", bytes_in=1 << 53),
        changed("stages", bytes_in=1.0),
        changed("stages", milliseconds="1"),
        changed("stages", operations=["Filter\n"]),
        changed("stages", operations=["f"] * (MOST_OPERATIONS + 1)),
        changed("stages", more=1),
        changed("trainings", done=21),
        changed("trainings", of=0),
        changed("trainings", node=-1),
        changed("workers", name="Not a name"),
        changed("workers", peak_bytes=True),
        {**METRICS.json(), "stages": [STAGE.json()] * (MOST_STAGES + 1)},
        {**METRICS.json(), "workers": [METRICS.workers[0].json()] * 2},
        {**METRICS.json(), "trainings": [METRICS.trainings[0].json()] * 2},
        {**METRICS.json(), "more": []},
        {"stages": [], "trainings": []},
        [],
    ],
)
def test_what_is_not_quite_metrics_is_refused(value):
    with pytest.raises(FormatError):
        JobMetrics.read(value)


@pytest.mark.parametrize(
    "message",
    [StagesCut((STAGE.head, StageHead((), 1))), StageBegun(3), RoundTrained(2, 0, 5)],
)
def test_what_an_enclave_tells_reads_back(message):
    assert parse_from_enclave(message.frame()) == message


def test_there_is_a_ceiling_on_what_is_told_and_the_first_stages_are():
    head = StageHead(("aggregate",) * 40, 9)
    frame = StagesCut((head,) * 300).frame()
    found = parse_from_enclave(frame)
    assert len(found.stages) == MOST_STAGES
    assert len(found.stages[0].operations) == MOST_OPERATIONS
    assert len(frame.encode()[0]) < 1 << 16


@pytest.mark.parametrize(
    "header",
    [
        {"type": "stages", "stages": [{"operations": [], "tasks": 0}]},
        {"type": "stages", "stages": [{"operations": ["x" * 33], "tasks": 1}]},
        {"type": "stages", "stages": [{"operations": [], "tasks": 1, "more": 1}]},
        {"type": "stage", "stage": -1},
        {"type": "round", "node": 0, "done": 6, "of": 5},
        {"type": "round", "node": 0, "done": 0, "of": 0},
    ],
)
def test_what_is_told_is_read_strictly(header):
    with pytest.raises(FormatError):
        parse_from_enclave(Frame(header))


def test_the_most_that_there_can_be_fits_into_what_is_read():
    most = (1 << 53) - 1
    head = StageHead(("o" * 32,) * MOST_OPERATIONS, 1024)
    fields = ("lost", "blocks_in", "bytes_in", "blocks_out", "bytes_out", "milliseconds")
    stage = StageMetrics(head=head, done=1024, **dict.fromkeys(fields, most))
    nodes = range(LIMITS.nodes - MOST_TRAININGS, LIMITS.nodes)
    rounds = dict.fromkeys(("done", "of"), MOST_ROUNDS)
    whole = JobMetrics(
        stages=(stage,) * MOST_STAGES,
        trainings=tuple(TrainingMetrics(node=n, milliseconds=most, **rounds) for n in nodes),
        workers=tuple(
            WorkerMetrics(name=f"w{i:062}", peak_bytes=most) for i in range(LIMITS.cluster_members)
        ),
    )
    raw = encode(whole.json())
    assert LIMITS.message_bytes < len(raw) < METRICS_BYTES
    assert JobMetrics.read(decode(raw, METRICS_BYTES, "metrics")) == whole


def test_words_that_count_are_words():
    said = round_trained(3, 2, 10)
    assert (said, isinstance(said, Said)) == ("node 3: trained round 2 of 10", True)
    assert said.counted == RoundTrained(3, 2, 10)
