"""Elements of lists as one column: each row has as many places as the longest list could need.

A kernel does the elements of all rows at once; how many of a row's places hold elements is secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.operators.comparisons import equal_marks
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretTable,
    Words,
    codes_of,
    known_of,
    layout_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction, disjunction
from mc2.operators.run import Run
from mc2.plan.types import INT64, list_of

T = TypeVar("T", bound=np.generic)

_NULL, _VALUE = 0, 1  # bits of the word before a place: NULL is less than any value
_LESS: Final = 1


# --- layouts


def common_layout(a: Layout, b: Layout) -> Layout:
    """The smallest layout that holds the values of two, which are of one type."""
    parts = tuple(common_layout(x, y) for x, y in zip(a.parts, b.parts, strict=True))
    return Layout(a.type, max(a.text_bytes, b.text_bytes), max(a.most, b.most), parts)


def in_layout(a: SecretColumn, layout: Layout) -> SecretColumn:
    """The same values in rows for longer texts and lists: copies at public places.

    Raises: ValueError if the rows would be shorter.
    """
    if a.layout == layout:
        return a
    return SecretColumn(layout, _moved(words_of(a), a.layout, layout), known_of(a))


def _moved(words: Words, source: Layout, target: Layout) -> Words:
    if target.words < source.words or target.most < source.most:
        raise ValueError("texts and lists are not cut")
    out = np.zeros((len(words), target.words), dtype=np.uint64)
    if not source.is_nested:
        out[:, : source.words - 1] = words[:, :-1]
        out[:, -1] = words[:, -1]
        return out
    for (start, part), (place, room) in zip(source.places(), target.places(), strict=False):
        out[:, place] = words[:, start]
        inside = words[:, start + 1 : start + 1 + part.words]
        out[:, place + 1 : place + 1 + room.words] = _moved(inside, part, room)
    return out


def fitted_columns(
    table: SecretTable, names: Sequence[str], widths: Mapping[str, int]
) -> dict[str, SecretColumn]:
    """Some columns in rows of the sizes that are given by path."""
    found = {}
    for name in names:
        value = table.columns[name]
        found[name] = in_layout(value, layout_of(value.type, widths, name))
    return found


def in_one_layout(values: Sequence[SecretColumn]) -> list[SecretColumn]:
    """Columns of one type in rows of one size."""
    layout = values[0].layout
    if not (layout.is_text or layout.is_nested):
        return list(values)
    for value in values[1:]:
        layout = common_layout(layout, value.layout)
    return [in_layout(v, layout) for v in values]


# --- elements


@dataclass(frozen=True, slots=True, eq=False)
class Elements:
    """The elements of all rows: `most` places a row, of which those that are `there` come first.

    `value` is NULL where nothing is there.
    """

    most: int
    there: Marks
    value: SecretColumn

    @property
    def rows(self) -> int:
        """How many lists."""
        return len(self.there) // self.most

    def slot(self, place: int) -> SecretColumn:
        """The elements at one public place, one a row."""
        words, known = words_of(self.value), known_of(self.value)
        return SecretColumn(
            self.value.layout, words[place :: self.most].copy(), known[place :: self.most].copy()
        )

    def there_at(self, place: int) -> Marks:
        """Which lists have an element at a public place."""
        return self.there[place :: self.most].copy()

    def first(self, most: int) -> Elements:
        """The first places of each list alone: the others are empty."""
        if most >= self.most:
            return self
        words, known = words_of(self.value), known_of(self.value)
        cut = words.reshape(self.rows, self.most, words.shape[1])[:, :most].reshape(
            -1, words.shape[1]
        )
        marks = (m.reshape(self.rows, self.most)[:, :most].reshape(-1) for m in (known, self.there))
        kept, there = (np.ascontiguousarray(m) for m in marks)
        return Elements(
            most, there, SecretColumn(self.value.layout, np.ascontiguousarray(cut), kept)
        )

    def places(self) -> SecretColumn:
        """At which place each one stands, from 0: public."""
        return numbers(np.tile(np.arange(self.most, dtype=np.uint64), self.rows))


def numbers(words: npt.NDArray[np.uint64]) -> SecretColumn:
    """Whole numbers, none of them NULL."""
    known = np.ones(len(words), dtype=np.uint8)
    return SecretColumn(Layout(INT64), np.ascontiguousarray(words).reshape(-1, 1), known)


def elements(run: Run, a: SecretColumn) -> Elements:
    """The elements of lists; NULL has none."""
    part = a.layout.parts[0]
    words = words_of(a).reshape(-1, 1 + part.words)
    known, null = known_places(run, np.ascontiguousarray(words[:, 0]))
    value = SecretColumn(part, np.ascontiguousarray(words[:, 1:]), known)
    return Elements(a.layout.most, disjunction(run, known, null), value)


def listed(run: Run, found: Elements, known: Marks) -> SecretColumn:
    """Lists of elements, NULL where they are not known."""
    value = found.value
    layout = Layout(list_of(value.type), most=found.most, parts=(value.layout,))
    words = np.concatenate([place_marks(run, value, found.there), words_of(value)], axis=1)
    return column(run, layout, words.reshape(len(known), layout.words), known)


def known_places(run: Run, markers: Words) -> tuple[Marks, Marks]:
    """Where places hold a value, and where NULL, from the words before them."""
    known, null = np.empty((2, len(markers)), dtype=np.uint8)
    run.call(_native.spread_bit, markers, _VALUE, known)
    run.call(_native.spread_bit, markers, _NULL, null)
    return known, null


def place_marks(run: Run, value: SecretColumn, there: Marks) -> Words:
    """The words before places: of a value, of NULL, or of nothing."""
    null = conjunction(run, there, complement(run, known_of(value)))
    markers = np.empty(value.rows, dtype=np.uint64)
    run.call(_native.gather_bits, [null, known_of(value)], markers)
    return markers.reshape(-1, 1)


def repeated(a: SecretColumn, most: int) -> SecretColumn:
    """Each value so many times, side by side."""
    words, known, codes = words_of(a), known_of(a), codes_of(a)
    return SecretColumn(
        a.layout,
        np.repeat(words, most, axis=0),
        np.repeat(known, most),
        a.ends,
        a.domain,
        None if codes is None else np.repeat(codes, most),
    )


def without_gaps(run: Run, found: Elements, keep: Marks) -> Elements:
    """The elements that are marked, in order and without gaps.

    Each moves forward by the number of dropped ones before it, one bit of it after the other:
    neighbours never meet, since the distance grows by one a step at most.
    """
    rows, most = found.rows, found.most
    there = conjunction(run, keep, found.there)
    far = _running(run, complement(run, there), most)
    value = cleared_where(run, found.value, there)
    for bit in range((most - 1).bit_length()):
        by = 1 << bit
        moves = np.empty_like(there)
        run.call(_native.spread_bit, far, bit, moves)
        moves = conjunction(run, moves, there)
        stays = conjunction(run, there, complement(run, moves))
        come = _shifted(moves, rows, most, by)
        source = SecretColumn(
            value.layout,
            _shifted(words_of(value), rows, most, by),
            _shifted(known_of(value), rows, most, by),
        )
        value = cleared_where(run, choose(run, come, source, value), disjunction(run, come, stays))
        distances = numbers(_shifted(far, rows, most, by)), numbers(far)
        far = words_of(choose(run, come, *distances)).reshape(-1)
        there = disjunction(run, come, stays)
    return Elements(most, there, value)


def _shifted(array: npt.NDArray[T], rows: int, most: int, by: int) -> npt.NDArray[T]:
    """What stands so many places further on in the same row; zeros behind the last."""
    out = np.zeros_like(array)
    shape = (rows, most, *array.shape[1:])
    out.reshape(shape)[:, : most - by] = array.reshape(shape)[:, by:]
    return out


def cleared_where(run: Run, a: SecretColumn, keep: Marks) -> SecretColumn:
    """The values that are kept, NULL elsewhere."""
    return column(run, a.layout, words_of(a), conjunction(run, keep, known_of(a)))


def _running(run: Run, marks: Marks, most: int) -> Words:
    """How many are marked in each row, up to each place."""
    starts = np.zeros(len(marks), dtype=np.uint8)
    starts[::most] = 1
    out = np.empty(len(marks), dtype=np.uint64)
    run.call(_native.running_count, starts, marks, out)
    return out


def count_marked(run: Run, marks: Marks, most: int) -> SecretColumn:
    """How many places of each row are marked."""
    return numbers(_running(run, marks, most)[most - 1 :: most].copy())


def places_below(run: Run, sizes: Words, most: int) -> Marks:
    """Which of `most` places of each row are among its first ones, of so many."""
    places = numbers(np.tile(np.arange(most, dtype=np.uint64), len(sizes)))
    return is_less(run, places, repeated(numbers(sizes), most))


def any_of(run: Run, marks: Marks, most: int) -> Marks:
    """Which rows have a marked place."""
    return is_less(
        run, numbers(np.zeros(len(marks) // most, np.uint64)), count_marked(run, marks, most)
    )


def is_less(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    """Where a whole number is less than another; none of them is NULL."""
    out = np.empty(a.rows, dtype=np.uint8)
    pair = words_of(a).reshape(-1), words_of(b).reshape(-1)
    run.call(_native.compare, _LESS, False, *pair, out)
    return out


def same_marks(run: Run, a: SecretColumn, b: SecretColumn, *, nulls: bool) -> Marks:
    """Where both are equal; NULL equals NULL if `nulls`."""
    a, b = in_one_layout([a, b])
    found = conjunction(run, equal_marks(run, a, b), known_of(a), known_of(b))
    if not nulls:
        return found
    neither = conjunction(run, complement(run, known_of(a)), complement(run, known_of(b)))
    return disjunction(run, found, neither)


def member_marks(run: Run, found: Elements, of: Elements, *, nulls: bool = True) -> Marks:
    """Which elements are in another list of their row."""
    hits = np.zeros_like(found.there)
    for place in range(of.most):
        other = repeated(of.slot(place), found.most)
        here = conjunction(
            run,
            same_marks(run, found.value, other, nulls=nulls),
            np.repeat(of.there_at(place), found.most),
            found.there,
        )
        hits = disjunction(run, hits, here)
    return hits


def once(run: Run, found: Elements) -> Elements:
    """Each element once, the first of several."""
    repeats = np.zeros_like(found.there)
    at = np.tile(np.arange(found.most), found.rows)
    for place in range(found.most - 1):
        other = repeated(found.slot(place), found.most)
        here = conjunction(
            run,
            same_marks(run, found.value, other, nulls=True),
            np.repeat(found.there_at(place), found.most),
            (at > place).astype(np.uint8),
        )
        repeats = disjunction(run, repeats, here)
    return without_gaps(run, found, complement(run, repeats))


def one_after_another(run: Run, parts: Sequence[Elements]) -> Elements:
    """The elements of several lists of each row."""
    values = in_one_layout([p.value for p in parts])
    most, rows = sum(p.most for p in parts), parts[0].rows
    pairs = list(zip(parts, values, strict=True))
    words = np.concatenate(
        [words_of(v).reshape(rows, p.most * v.layout.words) for p, v in pairs], axis=1
    )
    known = np.concatenate([known_of(v).reshape(rows, p.most) for p, v in pairs], axis=1)
    there = np.concatenate([p.there.reshape(rows, p.most) for p in parts], axis=1).reshape(-1)
    layout = values[0].layout
    value = SecretColumn(layout, words.reshape(-1, layout.words), known.reshape(-1))
    return without_gaps(run, Elements(most, there, value), there)
