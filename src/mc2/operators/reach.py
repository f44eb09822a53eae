"""Frames of windows whose ends are found: by distance in the order, or by counting picked rows.

Where a frame ends is a secret place. All rows are sorted together with as many that ask, each of
which stands in the order as far on as its frame goes; what the last row before it has is carried to
it, and those that ask come out in the order in which they went in. So a running value is read at
any place that never goes back from row to row. A frame between two such places is a difference
where sums are exact; for least and greatest values it is covered by two stretches of one power of
two of rows; for all else each row is compared with all of its partition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import Operation, compute, widened
from mc2.operators.comparisons import equal_marks, greatest, least, less_marks
from mc2.operators.constants import constant
from mc2.operators.grouping import Aggregate, finished
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction
from mc2.operators.ordering import Order
from mc2.operators.packing import compacted_planes
from mc2.operators.planes import (
    SIGNED,
    Key,
    canonical,
    joined,
    order_keys,
    planes_of,
    sort_planes,
    value_keys,
)
from mc2.operators.run import Run
from mc2.operators.windows import (
    END,
    PICKED,
    Ordered,
    Parts,
    Pick,
    Place,
    Span,
    carry,
    changes,
    count_rows,
    is_difference,
    kept_rows,
    last_of,
    mirror,
    nothing,
    over_frame,
    rearranged,
    shift,
    subtract,
    turn,
    turned_rows,
    up_to_each,
    within,
)
from mc2.plan.types import INT64

_NUMBER: Final = Layout(INT64)
_EXTREMES: Final = {"min": least, "bool_and": least, "max": greatest, "bool_or": greatest}
_COUNT: Final = "\0count"
_PLACE: Final = "\0place"
_SIDE: Final = 32
"""The bit above the places of rows that says which of two sides a row is of."""
_TILE: Final = 1 << 20
"""How many pairs of rows are compared at a time."""


def over_span(
    run: Run, rows: Ordered, order: Order | None, what: Aggregate | Pick, span: Span
) -> SecretColumn:
    """As `windows.over_frame`, for all frames; `order` is the key of a distance, row by row.

    `nth_value` counts from the start of a frame that ends with its partition, too.
    """
    far = span.start.distance is not None or span.end.distance is not None
    if not far:
        if isinstance(what, Pick) and what.place is not None and span.start != END == span.end:
            return _picked(run, rows, what, _nth(run, rows, what, _before(run, rows, what, span)))
        return over_frame(run, rows, what, span)
    if order is None:
        raise ValueError("a distance has a key")
    line = _Line(run, rows, order)
    start, end = (Place(distance=0) if p.equals else p for p in (span.start, span.end))
    if isinstance(what, Pick):
        return _picked(run, rows, what, _pick(line, what, start.distance, end.distance))
    return finished(run, what, _aggregate(line, what, start.distance, end.distance), rows.present)


def _picked(run: Run, rows: Ordered, what: Pick, found: SecretColumn) -> SecretColumn:
    known = conjunction(run, known_of(found), rows.present)
    return column(run, what.value.layout, words_of(found), known)


# --- reading at places that are found


def _found(
    run: Run,
    partition: Words,
    keys: tuple[Sequence[Key], Sequence[Key]],
    parts: Parts,
    *,
    strict: bool = False,
) -> Parts:
    """What the last row of its partition has that is not after what a row asks for.

    `keys`: by what rows stand in order, and what each asks for. `strict`: that is before it. NULL,
    and zero, where there is no such row.
    """
    rows = len(partition)
    side = np.arange(2 * rows, dtype=np.uint64) % np.uint64(max(1, rows))
    side[(0 if strict else rows) : (rows if strict else 2 * rows)] += np.uint64(1 << _SIDE)
    order = [Key(np.concatenate([partition, partition]), SIGNED)]
    order += [Key(np.concatenate([a.words, b.words]), a.flip) for a, b in zip(*keys, strict=True)]
    planes = [np.concatenate([p, np.zeros_like(p)]) for p in _flat(run, parts)]
    by, moved = sort_planes(run, [*order, Key(side, SIGNED)], planes)
    asking = np.empty(2 * rows, dtype=np.uint8)
    run.call(_native.spread_bit, by[-1], _SIDE, asking)
    if strict:
        asking = complement(run, asking)
    starts, keep = changes(run, by[:1]), complement(run, asking)
    carried = []
    for plane in moved:
        out, seen = np.empty_like(plane), np.empty_like(asking)
        run.call(_native.fill_forward, starts, keep, plane, out, seen)
        carried.append(out)
    return _unflat(run, parts, compacted_planes(run, carried, asking, rows))


def _flat(run: Run, parts: Parts) -> list[Words]:
    planes = []
    for part in parts.values():
        known = np.empty(part.rows, dtype=np.uint64)
        run.call(_native.marks_to_words, known_of(part), known)
        planes += [*planes_of(words_of(part)), known]
    return planes


def _unflat(run: Run, parts: Parts, planes: list[Words]) -> Parts:
    found, start = {}, 0
    for name, part in parts.items():
        end = start + part.layout.words
        known = np.empty(part.rows, dtype=np.uint8)
        run.call(_native.words_to_marks, planes[end], known)
        found[name] = SecretColumn(part.layout, joined(planes[start:end]), known)
        start = end + 1
    return found


def _numbers(words: Words) -> SecretColumn:
    return SecretColumn(_NUMBER, words.reshape(-1, 1), np.ones(len(words), dtype=np.uint8))


def _partition(run: Run, rows: Ordered) -> Words:
    first = np.zeros(rows.rows, dtype=np.uint8)
    first[:1] = 1
    return count_rows(run, first, rows.starts)


def _numbered(run: Run, rows: Ordered) -> SecretColumn:
    """The number of each row in its partition, from 1 on."""
    return _numbers(count_rows(run, rows.starts, np.ones(rows.rows, dtype=np.uint8)))


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Rows in order of a key in which there are distances."""

    run: Run
    rows: Ordered
    order: Order

    def turned(self) -> _Line:
        """The last row first: what was behind a row is before it."""
        order = replace(
            self.order,
            column=mirror(self.order.column),
            descending=not self.order.descending,
            nulls_first=not self.order.nulls_first,
        )
        return _Line(self.run, turned_rows(self.run, self.rows), order)

    def at(self, parts: Parts, distance: float, *, strict: bool = False) -> Parts:
        """What the last row has that is no further on than that; `strict`: that is nearer."""
        keys = self._keys(0), self._keys(distance)
        partition = _partition(self.run, self.rows)
        return _found(self.run, partition, keys, parts, strict=strict)

    def _keys(self, distance: float) -> list[Key]:
        order = self.order
        return order_keys(
            self.run,
            self._moved(-distance if order.descending else distance),
            descending=order.descending,
            nulls_first=order.nulls_first,
            nullable=order.nullable,
        )

    def _moved(self, distance: float) -> SecretColumn:
        """The keys, so far on: as numbers with room for that."""
        run, value = self.run, self.order.column
        if value.layout.is_real:
            far, nowhere = constant(value.layout, distance, value.rows), _nowhere(value.rows)
            return compute(run, Operation.ADD, value, far, value.type, nowhere)
        layout = Layout(DataType("decimal", DECIMAL_DIGITS, 0))
        wide, out = widened(run, value), np.empty((value.rows, 2), dtype=np.uint64)
        far = constant(layout, int(distance), value.rows)
        counted = conjunction(run, known_of(value), self.rows.present)
        pair = (wide, words_of(far))
        run.checked(_native.add_wide, *pair, False, DECIMAL_DIGITS, counted, out)
        return column(run, layout, out, known_of(value))


def _nowhere(rows: int) -> Marks:
    return np.zeros(rows, dtype=np.uint8)


# --- aggregates


def _aggregate(line: _Line, what: Aggregate, start: float | None, end: float | None) -> Parts:
    """Of the rows from so far before a row to so far after it; None: of all that there are."""
    run, rows = line.run, line.rows
    if what.function not in {"count", "count_star", "sum", "avg", *_EXTREMES}:
        return _compared(line, what, *_ends(line, start, end))
    if start is None:
        return line.at(up_to_each(run, rows.starts, rows.present, what), end or 0)
    if end is None:
        found = _aggregate(line.turned(), _turned(what), None, start)
        return {name: mirror(part) for name, part in found.items()}
    if what.function in _EXTREMES:
        return _extreme(line, what, start, end)
    if not is_difference(what):
        return _compared(line, what, *_ends(line, start, end))
    return _difference(line, up_to_each(run, rows.starts, rows.present, what), start, end)


def _turned(what: Aggregate) -> Aggregate:
    turned = turn(what)
    if not isinstance(turned, Aggregate):
        raise TypeError("an aggregate stays one")
    return turned


def _difference(line: _Line, so_far: Parts, start: float, end: float) -> Parts:
    """All up to the end, less all before the start, where there is something between."""
    parts = {**so_far, _PLACE: _numbered(line.run, line.rows)}
    return _between(line.run, line.at(parts, end), line.at(parts, -start, strict=True))


def _between(run: Run, upper: Parts, lower: Parts) -> Parts:
    """What there is at one place, less what there was at another that should be before it."""
    some = less_marks(run, lower[_PLACE], upper[_PLACE])
    found = {}
    for name, part in lower.items():
        less = choose(run, some, part, upper[name])  # itself, so that nothing is left
        found[name] = subtract(run, upper[name], less)
    return found


def _ends(line: _Line, start: float | None, end: float | None) -> tuple[SecretColumn, SecretColumn]:
    """The numbers of the last row before each frame, 0 if there is none, and of its last row."""
    run, number = line.run, _numbered(line.run, line.rows)
    lower, upper = constant(_NUMBER, 0, number.rows), last_of(run, line.rows.starts, number)
    if start is not None:
        lower = line.at({"n": number}, -start, strict=True)["n"]
    if end is not None:
        upper = line.at({"n": number}, end)["n"]
    return _numbers(flat_words_of(lower)), _numbers(flat_words_of(upper))


def _extreme(line: _Line, what: Aggregate, start: float, end: float) -> Parts:
    """Least and greatest values: of two stretches of a power of two of rows, from both ends."""
    run, rows, argument = line.run, line.rows, what.argument
    if argument is None:
        raise ValueError("it has an argument")
    keep = conjunction(run, known_of(argument), rows.present)
    if what.where is not None:
        keep = conjunction(run, keep, what.where)
    value = canonical(run, column(run, argument.layout, words_of(argument), keep))
    stretches, take = [value], _EXTREMES[what.function]
    while 2 ** len(stretches) <= rows.rows:
        one = stretches[-1]
        stretches.append(take(run, one, shift(one, 2 ** (len(stretches) - 1))))
    counts = Aggregate(what.name, "count", value, INT64)
    so_far = {
        **up_to_each(run, rows.starts, rows.present, counts),
        _PLACE: _numbered(run, rows),
    }
    at_end = {str(n): shift(s, 1 - 2**n) for n, s in enumerate(stretches)}
    last, lower = line.at({**so_far, **at_end}, end), line.at(so_far, -start, strict=True)
    found = _between(run, last, lower)
    first = line.turned().at({str(n): mirror(s) for n, s in enumerate(stretches)}, start)
    best = nothing(value)
    for n in range(len(stretches)):
        here = take(run, mirror(first[str(n)]), last[str(n)])
        short = less_marks(run, found[_PLACE], constant(_NUMBER, 2**n, rows.rows))
        best = choose(run, short, best, here)
    return {_COUNT: found[_COUNT], PICKED: best}


def _compared(line: _Line, what: Aggregate, lower: SecretColumn, upper: SecretColumn) -> Parts:
    """Each row with all rows, of which those of its frame count: so many rows at a time."""
    rows = line.rows.rows
    if not rows:
        return up_to_each(line.run, line.rows.starts, line.rows.present, what)
    step = max(1, _TILE // rows)
    tiles = [
        _tile(line, what, (lower, upper), range(place, min(place + step, rows)))
        for place in range(0, rows, step)
    ]
    return {
        name: SecretColumn(
            part.layout,
            np.concatenate([words_of(t[name]) for t in tiles]),
            np.concatenate([known_of(t[name]) for t in tiles]),
        )
        for name, part in tiles[0].items()
    }


def _tile(
    line: _Line, what: Aggregate, ends: tuple[SecretColumn, SecretColumn], places: range
) -> Parts:
    run, rows = line.run, line.rows.rows
    chosen = slice(places.start, places.stop)

    def each(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.repeat(array[chosen], rows, axis=0))

    def every(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.concatenate([array] * len(places)))

    number = flat_words_of(_numbered(run, line.rows))
    partition = _partition(run, line.rows)
    lower, upper = (_numbers(each(flat_words_of(e))) for e in ends)
    theirs = _numbers(every(number))
    keep = conjunction(
        run,
        every(line.rows.present),
        equal_marks(run, _numbers(each(partition)), _numbers(every(partition))),
        less_marks(run, lower, theirs),
        complement(run, less_marks(run, upper, theirs)),
    )
    starts = np.zeros((len(places), rows), dtype=np.uint8)
    starts[:, 0] = 1
    parts = up_to_each(run, starts.reshape(-1), keep, rearranged(what, every))
    return {
        name: SecretColumn(
            part.layout,
            np.ascontiguousarray(words_of(part)[rows - 1 :: rows]),
            np.ascontiguousarray(known_of(part)[rows - 1 :: rows]),
        )
        for name, part in parts.items()
    }


# --- picks


def _pick(line: _Line, what: Pick, start: float | None, end: float | None) -> SecretColumn:
    if what.place is None:
        return _last_one(line, what, start, end)
    if what.place == 1:
        turned = Pick(mirror(what.value), None, what.ignore_nulls)
        return mirror(_last_one(line.turned(), turned, end, start))
    before, upper = _numbers(np.zeros(line.rows.rows, dtype=np.uint64)), None
    if start is not None:
        kept = _numbers(
            count_rows(line.run, line.rows.starts, kept_rows(line.run, line.rows.present, what))
        )
        before = _numbers(flat_words_of(line.at({"n": kept}, -start, strict=True)["n"]))
    if end is not None:
        upper = _ends(line, None, end)[1]
    return _nth(line.run, line.rows, what, before, upper)


def _last_one(line: _Line, what: Pick, start: float | None, end: float | None) -> SecretColumn:
    """The last kept value of a frame: the last one up to its end, if it is not before its start."""
    run, rows = line.run, line.rows
    keep = kept_rows(run, rows.present, what)
    parts = {
        "value": carry(run, rows.starts, keep, what.value),
        "number": carry(run, rows.starts, keep, _numbered(run, rows)),
    }
    if end is None:
        found: Mapping[str, SecretColumn] = {
            name: last_of(run, rows.starts, part) for name, part in parts.items()
        }
    else:
        found = line.at(parts, end)
    lower, _ = _ends(line, start, None)
    inside = less_marks(run, lower, _numbers(flat_words_of(found["number"])))
    known = conjunction(run, known_of(found["value"]), inside)
    return column(run, what.value.layout, words_of(found["value"]), known)


def _before(run: Run, rows: Ordered, what: Pick, span: Span) -> SecretColumn:
    """How many rows are kept before the start of each frame, so many rows on or at its equals."""
    keep = kept_rows(run, rows.present, what)
    kept = _numbers(count_rows(run, rows.starts, keep))
    if span.start.equals:
        own = np.empty(rows.rows, dtype=np.uint64)
        run.call(_native.marks_to_words, keep, own)
        before = subtract(run, kept, _numbers(own))
        return carry(run, rows.equals, rows.equals, before)
    away = -(span.start.rows or 0) - 1
    other = nothing(kept) if away < 0 else last_of(run, rows.starts, kept)
    found = choose(run, within(run, rows.starts, away), shift(kept, away), other)
    return _numbers(flat_words_of(found))


def _nth(
    run: Run,
    rows: Ordered,
    what: Pick,
    before: SecretColumn,
    upper: SecretColumn | None = None,
) -> SecretColumn:
    """The n-th kept value after so many, if its row's number is not above another one."""
    keep = kept_rows(run, rows.present, what)
    kept = _numbers(count_rows(run, rows.starts, keep))
    place = constant(_NUMBER, what.place or 1, rows.rows)
    wanted = compute(run, Operation.ADD, before, place, INT64, _nowhere(rows.rows))
    parts = {
        "value": carry(run, rows.starts, keep, what.value),
        "number": carry(run, rows.starts, keep, _numbered(run, rows)),
        "count": kept,
    }
    keys = value_keys(run, kept), value_keys(run, wanted)
    found = _found(run, _partition(run, rows), keys, parts)
    there = equal_marks(run, _numbers(flat_words_of(found["count"])), wanted)
    if upper is not None:
        after = less_marks(run, upper, _numbers(flat_words_of(found["number"])))
        there = conjunction(run, there, complement(run, after))
    known = conjunction(run, known_of(found["value"]), there)
    return column(run, what.value.layout, words_of(found["value"]), known)
