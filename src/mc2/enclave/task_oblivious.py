"""One task of a plan in oblivious mode: secret tables in, blocks of public sizes out.

Spec: docs/spec/task.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from mc2.crypto.digest import Digest, digest
from mc2.enclave.task_inputs import BlockSequence, ChunkRange, TaskSource
from mc2.engine.limits import EngineLimits
from mc2.engine.oblivious.learning import Together
from mc2.engine.oblivious.part import Part, PartInput, PartSettings
from mc2.errors import JobError
from mc2.formats.block import BlockCipher, BlockPlace, BlockRef
from mc2.plan.check import CheckedPlan
from mc2.plan.stages import Exchange, StagePlan

WriteBlob: TypeAlias = Callable[[Digest, bytes], None]
"""Gives the host something to keep under its digest."""


def compute_part(  # noqa: PLR0913, PLR0917 - what a task is
    checked: CheckedPlan,
    stages: StagePlan,
    stage: int,
    partition: int,
    sources: Sequence[TaskSource],
    limits: EngineLimits,
    key: bytes,
    progress: Callable[[str], None],
    together: Together | None = None,
) -> Part:
    """Compute one task's tables. `key` is what the job draws from; `together` trains.

    Raises: EngineError, and what reading a source raises.
    """
    settings = PartSettings(limits.threads, key, progress, partition=partition, together=together)
    return Part(checked, stages, stage, [_input(s) for s in sources], settings)


def _input(source: TaskSource) -> PartInput:
    match source:
        case ChunkRange():
            return PartInput(chunks=source)
        case BlockSequence():
            return PartInput(blocks=source.plains)
        case _:
            raise JobError("a task reads chunks and blocks alone")


def seal_blocks(
    cipher: BlockCipher,
    place: int,
    exchange: Exchange,
    parts: Sequence[Sequence[tuple[bytes, int]]],
    write: WriteBlob,
) -> tuple[tuple[BlockRef, ...], ...]:
    """Seal what one exchange hands on, part by part; the receipt tells places, not rows."""
    found: list[tuple[BlockRef, ...]] = []
    for number, blocks in enumerate(parts):
        refs = []
        for sequence, (plain, places) in enumerate(blocks):
            last = sequence == len(blocks) - 1
            at = BlockPlace(place, number, sequence, last)
            raw = cipher.seal_plain(at, plain, exchange.written.digest)
            name = digest(raw)
            write(name, raw)
            refs.append(BlockRef(name, len(raw), places))
        found.append(tuple(refs))
    return tuple(found)
