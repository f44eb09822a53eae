"""A job's numbers as people read them."""

import pytest

from mc2.cli.metrics import metrics_text, show_bars, size
from mc2.formats.job_metrics import (
    NO_METRICS,
    JobMetrics,
    StageMetrics,
    TrainingMetrics,
    WorkerMetrics,
)
from mc2.formats.worker_progress import StageHead

METRICS = JobMetrics(
    stages=(
        StageMetrics(
            head=StageHead(("filter", "filter", "join", "aggregate", "sort", "limit"), 4),
            done=3,
            lost=1,
            blocks_in=10,
            bytes_in=3 << 20,
            blocks_out=2,
            bytes_out=64,
            milliseconds=1500,
        ),
        StageMetrics(head=StageHead((), 1)),
    ),
    trainings=(TrainingMetrics(node=7, done=2, of=20, milliseconds=900),),
    workers=(
        WorkerMetrics(name="worker_1", peak_bytes=1 << 30),
        WorkerMetrics(name="worker_2", peak_bytes=0),
    ),
)


def test_tables_say_all_of_it():
    assert metrics_text(METRICS).split("\n\n") == [
        (
            "STAGE  TASKS   LOST  READ          WRITTEN   SECONDS  OPERATIONS\n"
            "1      3 of 4  1     10 (3.0 MiB)  2 (64 B)  1.5"
            "      filter, join, aggregate, sort, …\n"
            "2      0 of 1  0     0 (0 B)       0 (0 B)   0.0      read"
        ),
        "TRAINING  ROUNDS   SECONDS\nnode 7    2 of 20  0.9",
        "WORKER    PEAK MEMORY\nworker_1  1.0 GiB\nworker_2  -",
    ]
    assert not metrics_text(NO_METRICS)


def test_bars_are_drawn_for_what_has_begun():
    told = []
    show_bars(METRICS, lambda *at: told.append(at))
    assert told == [
        ("stage 1: filter, join, aggregate, sort, …", 3, 4),
        ("node 7: rounds", 2, 20),
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 60, "1024.0 PiB"),
    ],
)
def test_bytes_are_told_in_the_unit_that_fits(count, text):
    assert size(count) == text
