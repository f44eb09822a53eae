"""A job's numbers for people: tables when it is asked for, bars while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mc2.cli.console import table
from mc2.cli.progress import Tell
from mc2.formats.job_metrics import JobMetrics, StageMetrics

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP: Final = 1024
_MOST_WORDS: Final = 4


def metrics_text(metrics: JobMetrics) -> str:
    """Stages, trainings and workers as tables; empty while there are none."""
    return "\n\n".join(_tables(metrics))


def show_bars(metrics: JobMetrics, tell: Tell) -> None:
    """A bar for each stage that has begun, and for each training."""
    for number, stage in enumerate(metrics.stages, 1):
        if stage.milliseconds or stage.done:
            tell(f"stage {number}: {_words(stage)}", stage.done, stage.head.tasks)
    for training in metrics.trainings:
        tell(f"node {training.node}: rounds", training.done, training.of)


def _tables(metrics: JobMetrics) -> Iterator[str]:
    if metrics.stages:
        rows = [_stage_row(n, s) for n, s in enumerate(metrics.stages, 1)]
        columns = ["stage", "tasks", "lost", "read", "written", "seconds", "operations"]
        yield table(rows, columns)
    if metrics.trainings:
        rows = [
            {
                "training": f"node {t.node}",
                "rounds": f"{t.done} of {t.of}",
                "seconds": _seconds(t.milliseconds),
            }
            for t in metrics.trainings
        ]
        yield table(rows, ["training", "rounds", "seconds"])
    if metrics.workers:
        rows = [
            {"worker": w.name, "peak_memory": size(w.peak_bytes) if w.peak_bytes else "-"}
            for w in metrics.workers
        ]
        yield table(rows, ["worker", "peak_memory"])


def _stage_row(number: int, stage: StageMetrics) -> dict[str, object]:
    return {
        "stage": number,
        "tasks": f"{stage.done} of {stage.head.tasks}",
        "lost": stage.lost,
        "read": f"{stage.blocks_in} ({size(stage.bytes_in)})",
        "written": f"{stage.blocks_out} ({size(stage.bytes_out)})",
        "seconds": _seconds(stage.milliseconds),
        "operations": _words(stage),
    }


def _words(stage: StageMetrics) -> str:
    kinds = list(dict.fromkeys(stage.head.operations))
    more = ["…"] if len(kinds) > _MOST_WORDS else []
    return ", ".join(kinds[:_MOST_WORDS] + more) or "read"


def size(count: int) -> str:
    """Bytes in the largest unit that leaves a number of at least one."""
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < _STEP:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} {_UNITS[-1]}"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f}"
