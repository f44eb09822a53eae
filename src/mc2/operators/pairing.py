"""Joins of many rows with many, over rows that several tasks have in one order.

Every pair has a place among all pairs: those of one left row stand together, in order of its
partners. So a left row has to know where its pairs start, and a right row which partner it is. Of
their rows in order tasks tell each other two places: how many right rows there are with the keys of
the last row, how many left ones with those of the first, and how many pairs are a task's alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators.arithmetic import Operation
from mc2.operators.counting import NUMBER, all_there, as_words, is_some, number_column
from mc2.operators.grouping import add_counts
from mc2.operators.handles import (
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    flat_words_of,
    marks_of,
)
from mc2.operators.lining import sides
from mc2.operators.logic import conjunction
from mc2.operators.ordering import cut
from mc2.operators.planes import flatten, layouts_of, marks_at, rebuild
from mc2.operators.run import Flag, Run
from mc2.operators.sheets import Sheet, key_words, plain_sheet, table_of
from mc2.operators.windows import changes, count_rows
from mc2.plan.oblivious_apart import PAIR_PLACES

_EQUAL: Final = 0
_KEY, _RIGHTS, _LEFTS, _PAIRS = "\0key", "\0rights", "\0lefts", "\0pairs"


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Of each row of a task, by its place: what pairs it has among all.

    `start`: how many pairs there are before those of a left row. `has_pairs`: left rows with some.
    `rank`: which of the rows with its keys a right row is, from 1 on. `rights`: those that match.
    """

    start: SecretColumn
    has_pairs: Marks
    rank: SecretColumn
    rights: Marks


def told_numbers(run: Run, sheet: Sheet) -> Sheet:
    """What other tasks must know of a task's rows, which `line_up` put together."""
    rows = _Rows(run, sheet)
    rights = count_rows(run, rows.starts, rows.rights)
    pairs = _sums(run, _kept(run, rows.lefts, rights))
    first = count_rows(run, _first(rows.places), rows.starts)
    own = np.empty(rows.places, dtype=np.uint8)
    run.call(_native.compare, _EQUAL, False, first, np.ones_like(first), own)
    lefts = count_rows(run, _first(rows.places), conjunction(run, own, rows.lefts))
    none = np.zeros(1, dtype=np.uint64)
    columns = {f"{_KEY}{i}": np.append(k[:1], k[-1:]) for i, k in enumerate(rows.keys)}
    columns[_RIGHTS] = np.append(none, rights[-1:])
    columns[_LEFTS] = np.append(lefts[-1:], none)
    columns[_PAIRS] = np.append(pairs[-1:], none)
    return plain_sheet(run, _table(columns))


def numbers(run: Run, sheet: Sheet, told: Sheet, task: int, bound: int) -> Numbers:
    """What pairs a task's rows have; `told`: what all tasks told in turn.

    A flag is raised where there are more than `bound` pairs.
    """
    rows = _Rows(run, sheet)
    rights_before, pairs_before = _before(run, told, len(rows.keys), task)
    # One place before a task's rows stands for all of earlier tasks that have the first one's keys.
    starts = np.concatenate([_first(1), np.zeros(1, dtype=np.uint8), rows.starts[1:]])
    counts = np.concatenate([rights_before, as_words(run, rows.rights)])
    rank = add_counts(run, starts, np.ones_like(starts), counts)[1:].copy()
    partners = _kept(run, rows.lefts, rank)
    start = _sums(run, np.concatenate([pairs_before, partners[:-1]]))
    end = _arithmetic(run, Operation.ADD, start, partners)
    has_pairs = conjunction(run, rows.lefts, is_some(run, partners))
    run.checked(_native.check_range, end, 0, bound, has_pairs, int(Flag.BOUND_EXCEEDED))
    return Numbers(number_column(start), has_pairs, number_column(rank), rows.rights)


def _before(run: Run, told: Sheet, keys: int, task: int) -> tuple[Words, Words]:
    """Of all tasks before one: right rows with the keys of its first row, and how many pairs."""
    names = [*(f"{_KEY}{i}" for i in range(keys)), _RIGHTS, _LEFTS, _PAIRS]
    table = table_of(run, told, dict.fromkeys(names, NUMBER))
    here = cut(table, 0, PAIR_PLACES * task + 1)
    words = {name: flat_words_of(c) for name, c in here.columns.items()}
    starts = changes(run, [words[f"{_KEY}{i}"] for i in range(keys)])
    rights = add_counts(run, starts, np.ones_like(starts), words[_RIGHTS])
    shared = _arithmetic(run, Operation.MULTIPLY, words[_LEFTS], rights)
    pairs = _arithmetic(run, Operation.ADD, words[_PAIRS], shared)[:-1]
    return rights[-1:].copy(), _sums(run, np.append(np.zeros(1, dtype=np.uint64), pairs))[-1:]


# --- the places of pairs


def markers(places: range, bound: int, name: str) -> SecretTable:
    """A row for each of some places of pairs: there is none from `bound` on. All of it public."""
    words = np.arange(places.start, places.stop, dtype=np.uint64)
    there = (words < bound).astype(np.uint8)
    return SecretTable({name: number_column(words)}, SecretMarks(there))


def placed(
    run: Run, rows: SecretTable, earlier: SecretTable, asked: SecretTable, names: tuple[str, str]
) -> SecretTable:
    """Places of pairs with the last left row that starts at them or before, and which pair it is.

    `rows` are left rows and `asked` the places, which stand between them in order, in tables of one
    length; `earlier` is of each task before the last of its left rows. `names`: the column of both
    that is their place; in what is given it is which pair of its row a place is, from 1 on.
    """
    own, wanted = names
    kept = np.concatenate([marks_of(earlier.present), marks_of(rows.present)])
    carried, seen = [], np.empty_like(kept)
    for before, here in zip(flatten(run, earlier), flatten(run, rows), strict=True):
        plane = np.concatenate([before, here])
        out = np.empty_like(plane)
        run.call(_native.fill_forward, _first(len(kept)), kept, plane, out, seen)
        carried.append(out[earlier.rows :].copy())
    there = conjunction(run, marks_of(asked.present), seen[earlier.rows :].copy())
    found = rebuild(run, layouts_of(rows), carried, there)
    place = flat_words_of(asked.columns[wanted])
    after = _arithmetic(run, Operation.SUBTRACT, place, flat_words_of(found.columns[own]))
    pair = _arithmetic(run, Operation.ADD, after, np.ones_like(after))
    columns = {n: c for n, c in found.columns.items() if n != own}
    return SecretTable({**columns, wanted: number_column(pair)}, found.present)


# --- words


class _Rows:
    """Rows of both sides in order: where keys begin, and which rows of each side can match."""

    def __init__(self, run: Run, sheet: Sheet) -> None:
        *self.keys, last = key_words(sheet)
        self.starts = changes(run, self.keys)
        is_left, self.rights = sides(run, last)
        self.lefts = conjunction(run, is_left, marks_at(run, [last], 0))

    @property
    def places(self) -> int:
        return len(self.starts)


def _first(places: int) -> Marks:
    """1 at the first place alone."""
    found = np.zeros(places, dtype=np.uint8)
    found[:1] = 1
    return found


def _sums(run: Run, counts: Words) -> Words:
    """Sums from the first place on."""
    return add_counts(run, _first(len(counts)), np.ones(len(counts), dtype=np.uint8), counts)


def _kept(run: Run, keep: Marks, words: Words) -> Words:
    out = np.empty((len(words), 1), dtype=np.uint64)
    run.call(_native.clear_rows, keep, words.reshape(-1, 1), out)
    return out.reshape(-1)


def _arithmetic(run: Run, what: Operation, a: Words, b: Words) -> Words:
    """Of numbers that stay far below 2^63 wherever they mean anything."""
    out, nobody = np.empty_like(a), np.zeros(len(a), dtype=np.uint8)
    run.checked(_native.integers, int(what), a, b, nobody, out)
    return out


def _table(columns: dict[str, Words]) -> SecretTable:
    rows = len(next(iter(columns.values())))
    return SecretTable({n: number_column(w) for n, w in columns.items()}, all_there(rows))
