"""Tables as planes: a row is some single words, one in each, so that kernels move rows whole.

A table of n rows becomes one array of n words for each word of its values, and one or more whose
bits say which rows are there and which values are known. Splitting and joining planes copies at
public places; everything else is a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mc2 import _native
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import column, conjunction
from mc2.operators.run import Run

SIGNED: Final = 0
UNSIGNED: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
_KEY_WORDS: Final = 8  # of one sorting network; more keys take more passes
_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Key:
    """A plane that rows are sorted by, and how its words are read.

    `flip` as the sorting kernels take it: SIGNED or UNSIGNED, XORed with all ones to descend.
    """

    words: Words
    flip: int

    def reversed(self) -> Key:
        """The same, descending."""
        return Key(self.words, self.flip ^ _ALL)


def layouts_of(table: SecretTable) -> dict[str, Layout]:
    """The layouts of a table's columns, in order."""
    return {name: found.layout for name, found in table.columns.items()}


def planes_of(words: Words) -> list[Words]:
    """The words of a column, a plane for each."""
    return [np.ascontiguousarray(words[:, place]) for place in range(words.shape[1])]


def joined(planes: Sequence[Words]) -> Words:
    """Planes as the words of one column."""
    return np.ascontiguousarray(np.stack(planes, axis=1))


def flatten(run: Run, table: SecretTable) -> list[Words]:
    """All planes of a table: those of its columns, then the bits."""
    planes = [p for c in table.columns.values() for p in planes_of(words_of(c))]
    marks = [marks_of(table.present), *(known_of(c) for c in table.columns.values())]
    return planes + bit_planes(run, marks, table.rows)


def bit_planes(run: Run, marks: Sequence[Marks], rows: int) -> list[Words]:
    """Marks as bits of words."""
    found = []
    for start in range(0, len(marks), _BITS):
        words = np.empty(rows, dtype=np.uint64)
        run.call(_native.gather_bits, list(marks[start : start + _BITS]), words)
        found.append(words)
    return found


def marks_at(run: Run, planes: Sequence[Words], place: int) -> Marks:
    """One column of the marks that `bit_planes` put away."""
    words = planes[place // _BITS]
    out = np.empty(len(words), dtype=np.uint8)
    run.call(_native.spread_bit, words, place % _BITS, out)
    return out


def rebuild(
    run: Run, layouts: Mapping[str, Layout], planes: Sequence[Words], keep: Marks | None = None
) -> SecretTable:
    """A table from the planes that `flatten` made. Of `keep`, only rows with 1 are there.

    What stands in rows that are not there is made zeros, so that it never comes back.
    """
    width = sum(layout.words for layout in layouts.values())
    bits = planes[width:]
    present = marks_at(run, bits, 0)
    if keep is not None:
        present = conjunction(run, present, keep)
    columns: dict[str, SecretColumn] = {}
    start = 0
    for place, (name, layout) in enumerate(layouts.items(), 1):
        words = joined(planes[start : start + layout.words])
        known = conjunction(run, marks_at(run, bits, place), present)
        columns[name] = column(run, layout, words, known)
        start += layout.words
    return SecretTable(columns, SecretMarks(present))


def plane_count(layouts: Mapping[str, Layout]) -> int:
    """How many planes a table of such columns has."""
    return sum(la.words for la in layouts.values()) + len(layouts) // _BITS + 1


def sort_planes(run: Run, keys: Sequence[Key], payload: Sequence[Words]) -> list[list[Words]]:
    """Sort rows by their keys: the sorted planes of keys, and those of the payload.

    Equal rows come out in an order that depends on lengths and on how they came in alone. Keys of
    more words than one network takes are sorted from the last ones on, each pass keeping the order
    of the one before.
    """
    names = [*(k.words.copy() for k in keys), *(p.copy() for p in payload)]
    flips = [k.flip for k in keys]
    passes = range(0, len(keys), _KEY_WORDS) if len(keys) <= _KEY_WORDS else _stable_passes(keys)
    for start in reversed(passes):
        chosen = list(range(start, min(start + passes.step, len(keys))))
        _sort_pass(run, names, flips, chosen, stable=len(keys) > _KEY_WORDS)
    return [names[: len(keys)], names[len(keys) :]]


def _stable_passes(keys: Sequence[Key]) -> range:
    return range(0, len(keys), _KEY_WORDS - 1)  # one word is for the row number


def _sort_pass(
    run: Run, planes: list[Words], flips: list[int], chosen: list[int], *, stable: bool
) -> None:
    """Sort all planes in place by the chosen ones."""
    rows = len(planes[0])
    order = [np.arange(rows, dtype=np.uint64)] if stable else []
    rest = [place for place in range(len(planes)) if place not in chosen]
    moved = [*(planes[p] for p in chosen), *order, *(planes[p] for p in rest)]
    run.call(_native.sort, moved, [*(flips[p] for p in chosen), *([SIGNED] if stable else [])])


def order_keys(
    run: Run,
    value: SecretColumn,
    *,
    descending: bool = False,
    nulls_first: bool = True,
    nullable: bool = True,
) -> list[Key]:
    """The keys that sort by a column as SQL orders values: -0 is +0, NaN is the greatest.

    `nullable`: whether a row that is there could have none, as everybody knows.
    """
    found = value_keys(run, value)
    if descending:
        found = [key.reversed() for key in found]
    if not nullable:
        return found
    known = np.empty(value.rows, dtype=np.uint64)
    run.call(_native.marks_to_words, known_of(value), known)
    nulls = Key(known, SIGNED)
    return [nulls if nulls_first else nulls.reversed(), *found]


def value_keys(run: Run, value: SecretColumn) -> list[Key]:
    """The keys of a column's values, NULLs aside: equal values have equal words."""
    return _keys_of(planes_of(ordered_words(run, value)), value.layout)


def _keys_of(planes: Sequence[Words], layout: Layout) -> list[Key]:
    return [Key(planes[word], flip) for word, flip in compared_words(layout)]


def compared_words(layout: Layout) -> list[tuple[int, int]]:
    """Which words of a value are compared, one after the other, and how each is read."""
    if layout.is_nested:
        found = []
        for start, inside in layout.places():
            found.append((start, UNSIGNED))
            found += [(start + 1 + word, flip) for word, flip in compared_words(inside)]
        return found
    if layout.is_wide:
        return [(1, SIGNED), (0, UNSIGNED)]
    flip = UNSIGNED if layout.is_text or layout.is_real else SIGNED
    return [(word, flip) for word in range(layout.words)]


def real_places(layout: Layout) -> list[int]:
    """Which words of a value are doubles, or floats."""
    if layout.is_nested:
        return [start + 1 + p for start, inside in layout.places() for p in real_places(inside)]
    return [0] if layout.is_real else []


def ordered_words(run: Run, value: SecretColumn) -> Words:
    """The words of a column, those of doubles in their order: equal values have equal ones."""
    return _with_reals(run, value.layout, words_of(value), _native.order_doubles)


def restored_words(run: Run, layout: Layout, words: Words) -> Words:
    """The way back from `ordered_words`."""
    return _with_reals(run, layout, words, _native.restore_doubles)


def _with_reals(run: Run, layout: Layout, words: Words, kernel: Callable[..., Any]) -> Words:
    places = real_places(layout)
    if not places:
        return words
    words = words.copy()
    for place in places:
        out = np.empty(len(words), dtype=np.uint64)
        run.call(kernel, np.ascontiguousarray(words[:, place]), out)
        words[:, place] = out
    return words


def absent_key(run: Run, present: SecretMarks) -> Key:
    """The key that puts the rows that are there before those that are not."""
    words = np.empty(present.rows, dtype=np.uint64)
    run.call(_native.marks_to_words, marks_of(present), words)
    return Key(words, SIGNED).reversed()


def equality_keys(run: Run, columns: Sequence[SecretColumn], present: SecretMarks) -> list[Key]:
    """Keys that bring equal rows together, NULLs being equal, and those that are absent last."""
    # In one word: whether the row is there in its highest bit, and below which values are known.
    first = [known_of(c) for c in columns[: _BITS - 1]]
    found = [
        Key(bit_planes(run, [*first, marks_of(present)], present.rows)[0], UNSIGNED).reversed()
    ]
    marks = [known_of(c) for c in columns[_BITS - 1 :]]
    found += [Key(bits, UNSIGNED) for bits in bit_planes(run, marks, present.rows)]
    for value in columns:
        found += value_keys(run, value)
    return found


def canonical(run: Run, value: SecretColumn) -> SecretColumn:
    """The same values, each in its one spelling where several are equal: +0 for -0, one NaN."""
    if not real_places(value.layout):
        return value
    words = restored_words(run, value.layout, ordered_words(run, value))
    return column(run, value.layout, words, known_of(value))
