"""Windows over rows that several tasks have in one order: what each tells the others of its rows.

A partition may go through many tasks, and so may rows that are equal in its order. Of its places a
task tells a fixed number, each of which stands for the rows between two others: those equal to its
first row, those that follow in that partition, and the same from behind. Laid out before and behind
another task's own rows, they continue its scans as the rows themselves would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import widened
from mc2.operators.counting import all_there, as_words, is_some, number_column
from mc2.operators.grouping import Aggregate, add_counts
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import column, conjunction, disjunction
from mc2.operators.ordering import cut, union_all
from mc2.operators.packing import compacted_planes
from mc2.operators.planes import Key, flatten, layouts_of, rebuild
from mc2.operators.run import Run
from mc2.operators.windows import (
    PICKED,
    Ordered,
    Pick,
    changes,
    count_rows,
    kept_rows,
    up_to_each,
)
from mc2.plan.oblivious_windows import TOLD_PLACES

_PARTITION, _ORDER = "\0partition", "\0order"  # no column of a plan starts so
_ROWS, _GROUPS, _THERE = "\0rows", "\0groups", "\0there"
_VALUE, _COUNT = "\0value", "\0count"
_SUMS: Final = frozenset({"sum", "avg"})
_COUNTS: Final = frozenset({"count", "count_star"})
_EQUAL: Final = 0


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Places in order, each of which stands for so many rows; `functions` are over these.

    All that is of a place are columns of `table`, in which every place is there.
    """

    table: SecretTable
    functions: Mapping[int, Aggregate | Pick]

    @property
    def rows(self) -> int:
        """How many places: public."""
        return self.table.rows

    def cut(self, start: int, end: int) -> Line:
        """The places from `start` up to `end`, both public."""
        return replace(self, table=cut(self.table, start, end))

    def around(self, before: SecretTable, after: SecretTable) -> Line:
        """The same with what others tell of the rows before and after."""
        names = list(self.table.columns)
        return replace(self, table=union_all([before, self.table, after], names))


def line_of(
    run: Run,
    present: Marks,
    keys: tuple[Sequence[Key], Sequence[Key]],
    functions: Mapping[int, Aggregate | Pick],
) -> Line:
    """A task's rows in order: `keys` as `windows.window_keys` gives them, of the rows as they are.

    `functions` are of frames that grow (`mc2.plan.oblivious_windows.window_reach`), by number.
    """
    rows = len(present)
    columns = {
        f"{name}{place}": number_column(key.words)
        for name, some in zip((_PARTITION, _ORDER), keys, strict=True)
        for place, key in enumerate(some)
    }
    columns |= {name: number_column(np.ones(rows, dtype=np.uint64)) for name in (_ROWS, _GROUPS)}
    columns[_THERE] = number_column(as_words(run, present))
    for place, what in functions.items():
        value, counts = _of_one(run, present, what)
        columns |= {} if value is None else {f"{_VALUE}{place}": value}
        columns[f"{_COUNT}{place}"] = number_column(counts)
    return Line(SecretTable(columns, all_there(rows)), functions)


def _of_one(run: Run, present: Marks, what: Aggregate | Pick) -> tuple[SecretColumn | None, Words]:
    """What a single row has of a function, and how many values that is of: one or none."""
    if isinstance(what, Pick):
        return what.value, as_words(run, kept_rows(run, present, what))
    marks = [present]
    marks += [] if what.where is None else [what.where]
    marks += [] if what.argument is None else [known_of(what.argument)]
    keep = conjunction(run, *marks)
    counts, value = as_words(run, keep), what.argument
    if value is None or what.function in _COUNTS:
        return None, counts
    words, layout = words_of(value), value.layout
    if what.function in _SUMS:
        words = widened(run, value)
        layout = Layout(DataType("decimal", DECIMAL_DIGITS, value.type.scale))
    return column(run, layout, words, keep), counts


def functions_of(run: Run, line: Line) -> dict[int, Aggregate | Pick]:
    """The functions over places that stand for many rows."""
    found: dict[int, Aggregate | Pick] = {}
    for place, what in line.functions.items():
        counts = flat_words_of(line.table.columns[f"{_COUNT}{place}"])
        value, some = line.table.columns.get(f"{_VALUE}{place}"), is_some(run, counts)
        if isinstance(what, Pick):
            if value is None:
                raise ValueError("what is picked is a value")
            known = conjunction(run, known_of(value), some)
            kept = column(run, value.layout, words_of(value), known)
            found[place] = Pick(kept, what.place, keep=some)
        else:
            argument = None if value is None else column(run, value.layout, words_of(value), some)
            found[place] = replace(what, argument=argument, where=None, counts=counts)
    return found


def ordered(run: Run, line: Line) -> Ordered:
    """The places as rows in the order of a window."""
    by = [_keys(line, _PARTITION), _keys(line, _ORDER)]
    there = SecretMarks(is_some(run, flat_words_of(line.table.columns[_THERE])))
    return Ordered(
        SecretTable({}, there),
        changes(run, by[0]),
        changes(run, [*by[0], *by[1]]),
        flat_words_of(line.table.columns[_ROWS]),
        flat_words_of(line.table.columns[_GROUPS]),
    )


def told(run: Run, line: Line) -> SecretTable:
    """What others must know of a task's places, of which there are at least `TOLD_PLACES`."""
    rows, table = ordered(run, line), line.table
    bounds = _bounds(run, rows)
    columns = dict(table.columns)
    everywhere = np.ones(line.rows, dtype=np.uint8)
    for name, keep in ((_ROWS, everywhere), (_GROUPS, rows.equals)):
        counts = flat_words_of(table.columns[name])
        columns[name] = number_column(add_counts(run, bounds, keep, counts))
    for place, what in functions_of(run, line).items():
        parts = up_to_each(run, bounds, rows.present, what)
        if f"{_VALUE}{place}" in columns:
            columns[f"{_VALUE}{place}"] = parts[PICKED]
        counts = flat_words_of(table.columns[f"{_COUNT}{place}"])
        columns[f"{_COUNT}{place}"] = number_column(add_counts(run, bounds, everywhere, counts))
    ends = np.empty_like(bounds)
    run.call(_native.ends, bounds, ends)
    return _last_of_each(run, SecretTable(columns, table.present), ends)


def _bounds(run: Run, rows: Ordered) -> Marks:
    """Where places that stand for many begin: four at most beside the first one."""
    first = np.zeros(rows.rows, dtype=np.uint8)
    first[:1] = 1
    found = first
    for starts in (rows.starts, rows.equals):
        number = count_rows(run, first, starts)
        for wanted in (np.full_like(number, 2), np.repeat(number[-1:], rows.rows)):
            here = np.empty_like(first)
            run.call(_native.compare, _EQUAL, False, number, wanted, here)
            found = disjunction(run, found, conjunction(run, here, starts))
    return found


def _last_of_each(run: Run, table: SecretTable, ends: Marks) -> SecretTable:
    """The marked rows in front. What stands behind them stands for no row, and has their keys."""
    planes = [*flatten(run, table), as_words(run, ends)]
    *moved, kept = compacted_planes(run, planes, ends, TOLD_PLACES)
    found, exists = rebuild(run, layouts_of(table), moved), is_some(run, kept)
    columns = dict(found.columns)
    for name, value in found.columns.items():
        if name.startswith((_PARTITION, _ORDER)):
            columns[name] = number_column(_carried(run, flat_words_of(value), exists))
        elif not name.startswith(_VALUE):
            out = np.empty((TOLD_PLACES, 1), dtype=np.uint64)
            run.call(_native.clear_rows, exists, words_of(value), out)
            columns[name] = number_column(out.reshape(-1))
    return SecretTable(columns, all_there(TOLD_PLACES))


def _carried(run: Run, words: Words, keep: Marks) -> Words:
    """At each place the last kept word so far; the first place is kept."""
    starts, seen = np.zeros_like(keep), np.empty_like(keep)
    starts[:1] = 1
    out = np.empty_like(words)
    run.call(_native.fill_forward, starts, keep, words, out, seen)
    return out


def padded(before: int, after: int) -> Callable[[np.ndarray], np.ndarray]:
    """Moves what single rows have among so many places of others, which have nothing of it."""

    def move(array: np.ndarray) -> np.ndarray:
        rest = array.shape[1:]
        sides = (np.zeros((count, *rest), dtype=array.dtype) for count in (before, after))
        first, last = sides
        return np.concatenate([first, array, last])

    return move


def _keys(line: Line, kind: str) -> list[Words]:
    return [flat_words_of(c) for n, c in line.table.columns.items() if n.startswith(kind)]
