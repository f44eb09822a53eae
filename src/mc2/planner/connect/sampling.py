"""sample, sampleBy, randomSplit: rows by a number that follows from the seed and the row's place.

Spark draws by row as its partitions happen to hold them. Here rows are numbered in the order of all
their columns, and a permutation of numbers, chosen by the seed, says which are taken: the same data
and seed give the same rows whenever and wherever the job runs, though not those that Spark draws.
Decision: docs/adr/0033-samples.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mc2.errors import PlanError
from mc2.planner.connect.expressions import Expressions, Value
from mc2.planner.connect.frame import Frame, quoted, unique
from mc2.planner.connect.literals import literal
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.projecting import kept, project
from mc2.planner.connect.scope import OneFrame
from mc2.planner.connect.translator import Translate, Translator

PRIME: Final = 2**31 - 1
"""Fifth powers are a permutation of the numbers below it: 5 does not divide PRIME - 1."""
_ROUNDS: Final = 2
_NO_SEED: Final = "give one: the same job must give the same answer, as in sample(0.1, seed=7)"


def keys_of(seed: int) -> list[tuple[int, int]]:
    """Multiplier and summand of each round, below PRIME, the multiplier not 0."""
    found = []
    for turn in range(_ROUNDS):
        raw = hashlib.sha256(f"mc2/sample/v1 {seed} {turn}".encode("ascii")).digest()
        one, two = (int.from_bytes(raw[i : i + 8], "big") for i in (0, 8))
        found.append((1 + one % (PRIME - 1), two % PRIME))
    return found


def drawn(place: int, seed: int) -> int:
    """The number of the row at a place, from 0 to PRIME - 1, as the SQL of `_numbered` has it."""
    at = place % PRIME
    for factor, summand in keys_of(seed):
        at = pow((at * factor + summand) % PRIME, 5, PRIME)
    return at


def _numbered(self: Translator, frame: Frame, seed: int) -> tuple[Frame, str]:
    """The rows with their numbers in one more column, whose name comes second."""
    shown = frame.visible
    order = ", ".join(quoted(c.inner) for c in shown)
    place = f"CAST(row_number() OVER (ORDER BY {order}) AS BIGINT) % {PRIME}"
    at = _with(self, frame, place)
    for factor, summand in keys_of(seed):
        linear = _with(self, at, f"({_last(at)} * {factor} + {summand}) % {PRIME}", drop=1)
        square = _with(self, linear, f"({_last(linear)} * {_last(linear)}) % {PRIME}")
        fourth = _with(self, square, f"({_last(square)} * {_last(square)}) % {PRIME}", drop=1)
        base = quoted(fourth.visible[-2].inner)
        at = _with(self, fourth, f"({_last(fourth)} * {base}) % {PRIME}", drop=2)
    return at, _last(at)


def _with(self: Translator, frame: Frame, sql: str, *, drop: int = 0) -> Frame:
    """One more column, in place of so many of the last ones."""
    columns = frame.visible[: len(frame.visible) - drop]
    name = unique([*(c.inner for c in frame.columns), "drawn"])[-1]
    return project(self.program, frame, [*kept(columns), Value(sql, name, named=True)])


def _last(frame: Frame) -> str:
    return quoted(frame.visible[-1].inner)


def _chosen(self: Translator, frame: Frame, inside: Frame, condition: str) -> Frame:
    """The rows of a frame that meet a condition on one with more columns behind its own."""
    columns = inside.visible[: len(frame.visible)]
    return project(self.program, inside, kept(columns), tail=f" WHERE {condition}")


def _sample(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    low = _share(message.take("lower_bound", 0.0))
    high = _share(message.take("upper_bound", 0.0))
    message.take("deterministic_order")
    if message.flag("with_replacement"):
        raise unsupported("a sample with replacement", "sample without it")
    if low > high:
        raise PlanError("a sample's bounds are in the wrong order")
    inside, number = _numbered(self, frame, _seed(message))
    condition = f"{number} >= {_bound(low)} AND {number} < {_bound(high)}"
    return _chosen(self, frame, inside, condition)


def _sample_by(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    column = Expressions(OneFrame(frame)).value(message.take("col"))
    shares = [_stratum(f) for f in message.items("fractions")]
    inside, number = _numbered(self, frame, _seed(message))
    tests = [
        f"({column.sql} <=> {value} AND {number} < {_bound(share)})" for value, share in shares
    ]
    return _chosen(self, frame, inside, " OR ".join(tests) or "false")


def _stratum(value: object) -> tuple[str, float]:
    message = Message(value, "a fraction of sampleBy")
    found = literal(message.take("stratum"))[0], _share(message.take("fraction", 0.0))
    message.done()
    return found


def _seed(message: Message) -> int:
    seed: Any = message.take("seed")
    if seed is None:
        raise unsupported("a sample without a seed", _NO_SEED)
    return int(seed)


def _share(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise PlanError("the fraction of a sample is a number from 0 to 1")
    return float(value)


def _bound(share: float) -> int:
    return round(share * PRIME)


KINDS: Final[Mapping[str, Translate]] = {
    "sample": _sample,
    "sample_by": _sample_by,
}
