"""Which rows a task of a stage may leave to others, and how a part that is too large is shared.

Rows of one key are in one part, so a key that many rows share makes one part large. Where a stage
makes of all rows of a source no more than it makes of some and of the rest, such a part is cut into
pieces, each a task of its own that reads its piece and all of the other sources. How many pieces
there are follows from how many rows blocks have, which receipts tell. Spec: docs/spec/task.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate

from mc2.plan.relations import Explode, Filter, Join, Mark, Project, Scan, Union
from mc2.plan.stages import ExchangeSource, Stage, StagePlan

_LEFT = frozenset({"inner", "cross", "left", "single", "semi", "anti"})
_RIGHT = frozenset({"inner", "cross", "right"})
"""Joins that are had of the rows of one side in pieces, beside the whole other side."""


class _Of(Enum):
    """What a node of a stage has to do with a source."""

    NOTHING = auto()
    ROWS = auto()  # of all pieces together it is what it is of the whole
    ALL = auto()  # it takes all rows at once


def sides(plan: StagePlan, stage: int) -> tuple[int, ...]:
    """The places of the sources of a stage of which a task may read a piece; mostly none."""
    here = plan.stages[stage]
    exchanged = [s for s in here.sources if isinstance(s, ExchangeSource)]
    if here.tasks == 1 or not here.nodes or len(exchanged) < len(here.sources):
        return ()
    return tuple(p for p, s in enumerate(exchanged) if _may_be_cut(plan, here, p, s))


def _may_be_cut(plan: StagePlan, stage: Stage, place: int, source: ExchangeSource) -> bool:
    read = plan.stages[source.stage].exchanges[source.exchange]
    if source.kind != "hash" or read.partial is not None:
        return False
    found = _uses(stage, place)
    return all(found[e.node] is _Of.ROWS for e in stage.exchanges)


def _uses(stage: Stage, place: int) -> list[_Of]:
    """For each node of a stage, what it has to do with the source at a place."""
    found: list[_Of] = []
    for node in stage.nodes:
        read = [found[s] for s in node.operation.sources]
        match node.operation:
            case Scan(input=number):
                use = _Of.ROWS if number == place else _Of.NOTHING
            case Project() | Filter() | Explode():
                use = read[0]
            case Join(how=how) if how in _LEFT and read[1] is _Of.NOTHING:
                use = read[0]
            case Join(how=how) if how in _RIGHT and read[0] is _Of.NOTHING:
                use = read[1]
            case Mark() if read[1] is _Of.NOTHING:
                use = read[0]
            case Union() if _Of.NOTHING not in read and _Of.ALL not in read:
                use = _Of.ROWS
            case _:
                use = _Of.NOTHING if set(read) <= {_Of.NOTHING} else _Of.ALL
        found.append(use)
    return found


@dataclass(frozen=True, slots=True)
class Share:
    """How one partition is shared: `runs` of the blocks of the source at `side`, in their order."""

    side: int
    runs: tuple[range, ...]


def share(blocks: Sequence[int], rows: int, parts: int, least: int) -> tuple[range, ...]:
    """The pieces of a part as runs of its blocks, of which `blocks` tells the rows; one if whole.

    `rows` are those of all `parts` together. A part of fewer than `least` rows is left whole, and
    so is one of at most half as many again as the mean.
    """
    own = sum(blocks)
    if own < least or 2 * own * parts <= 3 * rows:
        return (range(len(blocks)),)
    pieces = min(len(blocks), -(-own * parts // rows))
    # A block goes to the piece in which its middle row falls.
    ends = list(accumulate(blocks))
    middles = [2 * end - size for end, size in zip(ends, blocks, strict=True)]
    owner = [min(middle * pieces // (2 * own), pieces - 1) for middle in middles]
    found = (range(owner.index(p), len(owner) - owner[::-1].index(p)) for p in sorted(set(owner)))
    return tuple(found)
