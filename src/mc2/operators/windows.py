"""Windows: rows are sorted by partition and order once; functions are scans of what comes out.

A frame from the start of a partition on is a running value, read at another place: at the row, at
the last of its equals, so many rows further on, at the end. A frame up to the end is the same from
behind. A frame of a public number of rows is the difference of two of these where sums are exact,
else that many rows, one group for each row. Variances have no running value: each frame is a group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS
from mc2.operators.arithmetic import Operation
from mc2.operators.grouping import Aggregate, add_counts, finished, running_parts
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    flat_words_of,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction
from mc2.operators.ordering import Order, Ties, tie_keys
from mc2.operators.planes import (
    Key,
    equality_keys,
    flatten,
    joined,
    layouts_of,
    order_keys,
    planes_of,
    rebuild,
    sort_planes,
)
from mc2.operators.run import Flag, Run
from mc2.operators.spread import SPREADS
from mc2.plan.types import DOUBLE, INT32

Parts = Mapping[str, SecretColumn]
PICKED: Final = "\0value"
_EQUAL: Final = 0
_LESS: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class Ordered:
    """Rows in the order of a window: where partitions start, and where rows equal in its order.

    `counts`: how many rows a place stands for, and `groups`: how many that differ in the order, if
    not for one (`mc2.operators.carried`).
    """

    table: SecretTable
    starts: Marks
    equals: Marks
    counts: Words | None = None
    groups: Words | None = None

    @property
    def rows(self) -> int:
        """How many places: public."""
        return self.table.rows

    @property
    def present(self) -> Marks:
        """Which rows are there."""
        return marks_of(self.table.present)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame ends: so many rows after its row, at the last of its equals, or at the end.

    `rows` is public, and may be negative; so is `distance`, in the unit of the one key of the
    order, at the last row that is no further than that.
    """

    rows: int | None = None
    equals: bool = False
    distance: float | None = None


END: Final = Place()
"""The last row of the partition."""


@dataclass(frozen=True, slots=True)
class Span:
    """A frame. `start` counts from behind: END is the first row of the partition."""

    start: Place
    end: Place


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """The value of one row of a frame: its first one, its last one, or its n-th one.

    Of the rows that `keep` says; else of all, or with `ignore_nulls` of those that have a value.
    """

    value: SecretColumn
    place: int | None
    ignore_nulls: bool = False
    keep: Marks | None = None


def arrange(
    run: Run, table: SecretTable, keys: Sequence[str], orders: Sequence[Order], ties: Ties
) -> Ordered:
    """The rows by partition, then in order, then by what `ties` says; absent rows last."""
    by_key, by_order = window_keys(run, table, keys, orders)
    rest = tie_keys(run, table, ties)
    found, planes = sort_planes(run, [*by_key, *by_order, *rest], flatten(run, table))
    moved = rebuild(run, layouts_of(table), planes)
    starts = changes(run, found[: len(by_key)])
    equals = changes(run, found[: len(by_key) + len(by_order)])
    if ties.unique and table.rows:
        same = complement(run, changes(run, found))
        twice = conjunction(run, marks_of(moved.present), same)
        run.raise_where(SecretMarks(twice), Flag.DUPLICATE_KEY)
    return Ordered(moved, starts, equals)


def window_keys(
    run: Run, table: SecretTable, keys: Sequence[str], orders: Sequence[Order]
) -> tuple[list[Key], list[Key]]:
    """What rows of one partition agree in, and what they are in order of."""
    by_order: list[Key] = []
    for one in orders:
        by_order += order_keys(
            run,
            one.column,
            descending=one.descending,
            nulls_first=one.nulls_first,
            nullable=one.nullable,
        )
    return equality_keys(run, [table.columns[k] for k in keys], table.present), by_order


def changes(run: Run, keys: Sequence[Words]) -> Marks:
    """Where sorted rows differ from the one before, the first row too."""
    out = np.empty(len(keys[0]), dtype=np.uint8)
    run.call(_native.starts, list(keys), out)
    return out


# --- functions of a row's place


def rank_rows(run: Run, rows: Ordered, what: str, parts: int = 1) -> SecretColumn:
    """row_number, rank, dense_rank, percent_rank, cume_dist; ntile, of so many `parts`."""
    number = _added(run, rows.starts, rows.counts)
    if what == "row_number":
        return column(run, Layout(INT32), number, rows.present)
    if what == "dense_rank":
        places = _added(run, rows.starts, rows.groups, rows.equals)
        return column(run, Layout(INT32), places, rows.present)
    total = end_of(run, rows.starts, number)
    if what == "ntile":
        return column(run, Layout(INT32), _part(run, number, total, parts), rows.present)
    if what == "cume_dist":
        last = end_of(run, rows.equals, number)
        return column(run, Layout(DOUBLE), _ratio(run, last, total), rows.present)
    rank, seen = np.empty_like(number), np.empty_like(rows.equals)
    first = number if rows.counts is None else _first_number(run, number, rows.counts)
    run.call(_native.fill_forward, rows.equals, rows.equals, first, rank, seen)
    if what == "rank":
        return column(run, Layout(INT32), rank, rows.present)
    before, others = _less_one(run, rank), _less_one(run, total)
    ratio = _ratio(run, before, _at_least_one(run, others))
    return column(run, Layout(DOUBLE), ratio, rows.present)


def _added(run: Run, starts: Marks, counts: Words | None, keep: Marks | None = None) -> Words:
    """How many kept rows there are in the group up to each place, which stand for `counts`."""
    keep = np.ones_like(starts) if keep is None else keep
    return (
        count_rows(run, starts, keep) if counts is None else add_counts(run, starts, keep, counts)
    )


def _first_number(run: Run, number: Words, counts: Words) -> Words:
    """The number of the first of the rows that a place stands for."""
    before = whole_numbers(run, Operation.SUBTRACT, number, counts)
    return whole_numbers(run, Operation.ADD, before, np.ones_like(before))


def _part(run: Run, number: Words, total: Words, parts: int) -> Words:
    """In which of so many parts a row is; the first ones have one row more than the others."""
    count = np.full_like(number, parts)
    place = _less_one(run, number)
    size = whole_numbers(run, Operation.DIVIDE, total, count)
    large = whole_numbers(run, Operation.REMAINDER, total, count)
    larger = whole_numbers(run, Operation.ADD, size, np.ones_like(size))
    before = whole_numbers(run, Operation.MULTIPLY, large, larger)
    early = whole_numbers(run, Operation.DIVIDE, place, larger)
    rest = whole_numbers(run, Operation.SUBTRACT, place, before)
    late = whole_numbers(run, Operation.DIVIDE, rest, _at_least_one(run, size))
    late = whole_numbers(run, Operation.ADD, late, large)
    is_early = np.empty(len(number), dtype=np.uint8)
    run.call(_native.compare, _LESS, False, place, before, is_early)
    out = np.empty((len(number), 1), dtype=np.uint64)
    run.call(_native.select_rows, is_early, early.reshape(-1, 1), late.reshape(-1, 1), out)
    return whole_numbers(run, Operation.ADD, out.reshape(-1), np.ones_like(number))


def whole_numbers(run: Run, what: Operation, a: Words, b: Words) -> Words:
    """Of numbers of rows, which are far below 2^63; divisors are no zeros where they mean much."""
    out, nobody = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.integers, int(what), a, b, nobody, out)
    return out


def _less_one(run: Run, a: Words) -> Words:
    return whole_numbers(run, Operation.SUBTRACT, a, np.ones_like(a))


def _at_least_one(run: Run, a: Words) -> Words:
    zero, more = np.empty(len(a), dtype=np.uint8), np.empty_like(a)
    run.call(_native.compare, _EQUAL, False, a, np.zeros_like(a), zero)
    run.call(_native.marks_to_words, zero, more)
    return whole_numbers(run, Operation.ADD, a, more)


def _ratio(run: Run, a: Words, b: Words) -> Words:
    out, nobody = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    numbers = []
    for one in (a, b):
        number = np.empty_like(one)
        run.call(_native.integer_to_double, one, number)
        numbers.append(number)
    run.checked(_native.doubles, int(Operation.DIVIDE), *numbers, nobody, out)
    return out


def count_rows(run: Run, starts: Marks, keep: Marks) -> Words:
    """How many kept rows there are in the group up to each row."""
    out = np.empty(len(starts), dtype=np.uint64)
    run.call(_native.running_count, starts, keep, out)
    return out


def end_of(run: Run, starts: Marks, words: Words) -> Words:
    """What stands at the last row of the group, at all its rows."""
    ends, seen = np.empty((2, len(starts)), dtype=np.uint8)
    out = np.empty_like(words)
    run.call(_native.ends, starts, ends)
    run.call(_native.fill_backward, starts, ends, words, out, seen)
    return out


# --- functions of a neighbour


def neighbour(
    run: Run,
    rows: Ordered,
    value: SecretColumn,
    away: int,
    default: SecretColumn,
    *,
    ignore_nulls: bool = False,
) -> SecretColumn:
    """The value so many rows on (before, if negative), and the default where there is no row.

    `ignore_nulls` counts rows with a value only: a pass for each row that it is away.
    """
    if ignore_nulls and away:
        if away > 0:
            turned = neighbour(
                run,
                turned_rows(run, rows),
                mirror(value),
                -away,
                mirror(default),
                ignore_nulls=True,
            )
            return mirror(turned)
        found, there = _nth_before(run, rows, value, -away)
        return choose(run, there, found, default)
    inside = within(run, rows.starts, away)
    return choose(run, inside, shift(value, away), default)


def _nth_before(
    run: Run, rows: Ordered, value: SecretColumn, count: int
) -> tuple[SecretColumn, Marks]:
    """The value of the n-th row before that has one, and whether there is such a row."""
    keep = conjunction(run, known_of(value), rows.present)
    inside = within(run, rows.starts, -1)
    found, there = value, np.ones(rows.rows, dtype=np.uint8)
    for _ in range(count):
        marked = SecretColumn(found.layout, words_of(found), there)
        carried = shift(carry(run, rows.starts, keep, marked), -1)
        there = conjunction(run, known_of(carried), inside)
        found = column(run, value.layout, words_of(carried), there)
    return found, there


def carry(run: Run, starts: Marks, keep: Marks, value: SecretColumn) -> SecretColumn:
    """The last kept value of the group so far; NULL before the first one."""
    return _filled(run, _native.fill_forward, starts, keep, value)


def _filled(
    run: Run, kernel: Callable[..., None], starts: Marks, keep: Marks, value: SecretColumn
) -> SecretColumn:
    known = np.empty(value.rows, dtype=np.uint64)
    run.call(_native.marks_to_words, known_of(value), known)
    planes = []
    for plane in (*planes_of(words_of(value)), known):
        out, seen = np.empty_like(plane), np.empty(value.rows, dtype=np.uint8)
        run.call(kernel, starts, keep, plane, out, seen)
        planes.append(out)
    marks = np.empty(value.rows, dtype=np.uint8)
    run.call(_native.words_to_marks, planes[-1], marks)
    return column(run, value.layout, joined(planes[:-1]), marks)


# --- frames


def over_frame(run: Run, rows: Ordered, what: Aggregate | Pick, span: Span) -> SecretColumn:
    """An aggregate, or a pick, of the rows of a frame; what counts is there, and where it says."""
    return frame_value(run, what, frame_parts(run, rows, what, span), rows.present)


def frame_parts(run: Run, rows: Ordered, what: Aggregate | Pick, span: Span) -> Parts:
    """What of a frame `frame_value` makes a value of, for each row."""
    if span.start == END:
        return _up_to(run, rows, what, span.end)
    if span.end == END:
        turned = _up_to(run, turned_rows(run, rows), turn(what), span.start)
        return {name: mirror(part) for name, part in turned.items()}
    if span.start.rows is None or span.end.rows is None:  # from equals to equals
        whole = Ordered(rows.table, rows.equals, rows.equals)
        return _up_to(run, whole, what, END)
    if isinstance(what, Aggregate) and is_difference(what):
        return _between(run, rows, what, -span.start.rows, span.end.rows)
    return _near(run, rows, what, -span.start.rows, span.end.rows)


def frame_value(run: Run, what: Aggregate | Pick, parts: Parts, present: Marks) -> SecretColumn:
    """The aggregate, or the pick, of what a frame has; NULL for rows that are not there."""
    if isinstance(what, Aggregate):
        return finished(run, what, parts, present)
    known = conjunction(run, known_of(parts[PICKED]), present)
    return column(run, what.value.layout, words_of(parts[PICKED]), known)


def _up_to(run: Run, rows: Ordered, what: Aggregate | Pick, end: Place) -> Parts:
    """Of the rows from the first one of the partition to some place."""
    if isinstance(what, Aggregate) and what.function in SPREADS and end != END:
        so_far = _near(run, rows, what, -rows.rows, 0)
    else:
        so_far = up_to_each(run, rows.starts, rows.present, what)
    found: dict[str, SecretColumn] = {}
    for name, part in so_far.items():
        if end.equals:
            found[name] = last_of(run, rows.equals, part)
        elif end.rows is None:
            found[name] = last_of(run, rows.starts, part)
        else:
            past = last_of(run, rows.starts, part) if end.rows > 0 else nothing(part)
            inside = within(run, rows.starts, end.rows)
            found[name] = choose(run, inside, shift(part, end.rows), past)
    return found


def is_difference(what: Aggregate) -> bool:
    """Whether a frame is the difference of two running values: counts, and sums in 128 bits."""
    if what.function in {"count", "count_star"}:
        return True
    argument = what.argument
    if what.function not in {"sum", "avg"} or argument is None:
        return False
    return what.counts is not None or (not argument.layout.is_real and not argument.layout.is_wide)


def _between(run: Run, rows: Ordered, what: Aggregate, first: int, last: int) -> Parts:
    """Of the rows from so many on to so many on: all up to the last, less all before the first."""
    if first > last:
        return {name: nothing(part) for name, part in _up_to(run, rows, what, END).items()}
    upper, lower = (_up_to(run, rows, what, Place(place)) for place in (last, first - 1))
    return {name: subtract(run, part, lower[name]) for name, part in upper.items()}


def subtract(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Of running counts and sums: both are in range, and so is what is between them."""
    out, nowhere = np.empty_like(words_of(a)), np.zeros(a.rows, dtype=np.uint8)
    if a.layout.is_wide:
        pair = (words_of(a), words_of(b))
        run.checked(_native.add_wide, *pair, True, DECIMAL_DIGITS, nowhere, out)
    else:
        flat = (flat_words_of(a), flat_words_of(b))
        run.checked(_native.integers, int(Operation.SUBTRACT), *flat, nowhere, out.reshape(-1))
    return SecretColumn(a.layout, out, np.ones(a.rows, dtype=np.uint8))


def _near(run: Run, rows: Ordered, what: Aggregate | Pick, first: int, last: int) -> Parts:
    """Of the rows from so many on to so many on: each row with those near it is a group."""
    steps = range(max(first, -rows.rows), min(last, rows.rows) + 1) or range(
        rows.rows, rows.rows + 1
    )
    keep = [conjunction(run, _shift(rows.present, s), within(run, rows.starts, s)) for s in steps]
    starts = np.zeros((rows.rows, len(steps)), dtype=np.uint8)
    starts[:, 0] = 1
    wide = rearranged(what, lambda a: _side_by_side([_shift(a, s) for s in steps]))
    parts = up_to_each(run, starts.reshape(-1), _side_by_side(keep), wide)
    ends = slice(len(steps) - 1, None, len(steps))
    return {name: arrayed(part, lambda a: a[ends]) for name, part in parts.items()}


def _side_by_side(arrays: Sequence[np.ndarray]) -> np.ndarray:
    stacked = np.stack(arrays, axis=1)
    return np.ascontiguousarray(stacked.reshape(-1, *stacked.shape[2:]))


def up_to_each(run: Run, starts: Marks, present: Marks, what: Aggregate | Pick) -> Parts:
    """At each row, of those of its group up to it."""
    if isinstance(what, Aggregate):
        return running_parts(run, starts, present, what)
    keep = kept_rows(run, present, what)
    if what.place is not None:
        count, chosen = count_rows(run, starts, keep), np.empty_like(keep)
        wanted = np.full_like(count, what.place)
        run.call(_native.compare, _EQUAL, False, count, wanted, chosen)
        keep = conjunction(run, keep, chosen)
    return {PICKED: carry(run, starts, keep, what.value)}


def kept_rows(run: Run, present: Marks, what: Pick) -> Marks:
    """The rows of which one is picked."""
    if what.keep is not None:
        return conjunction(run, present, what.keep)
    return conjunction(run, present, known_of(what.value)) if what.ignore_nulls else present


def last_of(run: Run, starts: Marks, part: SecretColumn) -> SecretColumn:
    """What stands at the last row of each row's group."""
    ends = np.empty_like(starts)
    run.call(_native.ends, starts, ends)
    return _filled(run, _native.fill_backward, starts, ends, part)


def nothing(part: SecretColumn) -> SecretColumn:
    """NULL everywhere, and zero where a count is read."""
    words = np.zeros_like(words_of(part))
    return SecretColumn(part.layout, words, np.zeros(part.rows, dtype=np.uint8))


def within(run: Run, starts: Marks, away: int) -> Marks:
    """Where the row so many places on is one of the same partition."""
    first = np.zeros_like(starts)
    first[:1] = 1
    partition, same = count_rows(run, first, starts), np.empty_like(starts)
    run.call(_native.compare, _EQUAL, False, _shift(partition, away), partition, same)
    return same


def turned_rows(run: Run, rows: Ordered) -> Ordered:
    """The same rows, the last one first."""
    marks = []
    for starts in (rows.starts, rows.equals):
        ends = np.empty_like(starts)
        run.call(_native.ends, starts, ends)
        marks.append(_backwards(ends))
    present = SecretMarks(_backwards(rows.present))
    return Ordered(SecretTable({}, present), *marks)


def turn(what: Aggregate | Pick) -> Aggregate | Pick:
    """The same over reversed rows; a frame's n-th row cannot be told from behind."""
    turned = rearranged(what, _backwards)
    if isinstance(turned, Pick):
        if turned.place not in {None, 1}:
            raise ValueError("places are counted from the start of a partition")
        return replace(turned, place=1 if turned.place is None else None)
    return turned


def rearranged(
    what: Aggregate | Pick, move: Callable[[np.ndarray], np.ndarray]
) -> Aggregate | Pick:
    """The same over rows that are moved at public places."""
    if isinstance(what, Pick):
        keep = None if what.keep is None else move(what.keep)
        return replace(what, value=arrayed(what.value, move), keep=keep)
    argument = None if what.argument is None else arrayed(what.argument, move)
    where = None if what.where is None else move(what.where)
    counts = None if what.counts is None else move(what.counts)
    return replace(what, argument=argument, where=where, counts=counts)


# --- public moves of whole arrays


def arrayed(value: SecretColumn, move: Callable[[np.ndarray], np.ndarray]) -> SecretColumn:
    """A column whose arrays are moved at public places."""
    words = np.ascontiguousarray(move(words_of(value)))
    return SecretColumn(value.layout, words, np.ascontiguousarray(move(known_of(value))))


def _backwards(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array[::-1])


def mirror(value: SecretColumn) -> SecretColumn:
    """The last row first."""
    return arrayed(value, _backwards)


def _shift(array: np.ndarray, away: int) -> np.ndarray:
    """What stands so many places on; zeros where nothing does."""
    out = np.zeros_like(array)
    if abs(away) < len(array):
        if away >= 0:
            out[: len(array) - away] = array[away:]
        else:
            out[-away:] = array[:away]
    return out


def shift(value: SecretColumn, away: int) -> SecretColumn:
    """What stands so many places on; NULL where nothing does."""
    return arrayed(value, lambda a: _shift(a, away))
