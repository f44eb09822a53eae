"""Lists whose greatest number of elements is public, and structs.

The elements of all rows stand side by side as one column, so that a kernel does them all at once:
each row has as many places as the longest list could need, and how many hold elements is secret.
NULL equals NULL inside of lists (docs/spec/plan.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.comparisons import equal_marks, greatest, least
from mc2.operators.constants import constant
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    codes_of,
    known_of,
    layout_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction, disjunction, truth
from mc2.operators.ordering import Order, Ties, sort_table
from mc2.operators.planes import canonical
from mc2.operators.run import Flag, Run
from mc2.operators.texts import concat
from mc2.plan.types import INT32, INT64, list_of

T = TypeVar("T", bound=np.generic)

_NULL, _VALUE = 0, 1  # bits of the word before a place: NULL is less than any value
_LESS: Final = 1
_FARTHEST: Final = 1 << 31


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
        cut = words.reshape(self.rows, self.most, -1)[:, :most].reshape(-1, words.shape[1])
        marks = (m.reshape(self.rows, -1)[:, :most].reshape(-1) for m in (known, self.there))
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
    known, null = _opened(run, np.ascontiguousarray(words[:, 0]))
    value = SecretColumn(part, np.ascontiguousarray(words[:, 1:]), known)
    return Elements(a.layout.most, disjunction(run, known, null), value)


def listed(run: Run, found: Elements, known: Marks) -> SecretColumn:
    """Lists of elements, NULL where they are not known."""
    value = found.value
    layout = Layout(list_of(value.type), most=found.most, parts=(value.layout,))
    words = np.concatenate([_closed(run, value, found.there), words_of(value)], axis=1)
    return column(run, layout, words.reshape(len(known), -1), known)


def _opened(run: Run, markers: Words) -> tuple[Marks, Marks]:
    known, null = np.empty((2, len(markers)), dtype=np.uint8)
    run.call(_native.spread_bit, markers, _VALUE, known)
    run.call(_native.spread_bit, markers, _NULL, null)
    return known, null


def _closed(run: Run, value: SecretColumn, there: Marks) -> Words:
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


def _kept(run: Run, found: Elements, keep: Marks) -> Elements:
    """The elements that are marked, in order and without gaps.

    Each moves forward by the number of dropped ones before it, one bit of it after the other:
    neighbours never meet, since the distance grows by one a step at most.
    """
    rows, most = found.rows, found.most
    there = conjunction(run, keep, found.there)
    far = _running(run, complement(run, there), most)
    value = _cleared(run, found.value, there)
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
        value = _cleared(run, choose(run, come, source, value), disjunction(run, come, stays))
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


def _cleared(run: Run, a: SecretColumn, keep: Marks) -> SecretColumn:
    return column(run, a.layout, words_of(a), conjunction(run, keep, known_of(a)))


def _running(run: Run, marks: Marks, most: int) -> Words:
    """How many are marked in each row, up to each place."""
    starts = np.zeros(len(marks), dtype=np.uint8)
    starts[::most] = 1
    out = np.empty(len(marks), dtype=np.uint64)
    run.call(_native.running_count, starts, marks, out)
    return out


def _count(run: Run, marks: Marks, most: int) -> SecretColumn:
    return numbers(_running(run, marks, most)[most - 1 :: most].copy())


def places_below(run: Run, sizes: Words, most: int) -> Marks:
    """Which of `most` places of each row are among its first ones, of so many."""
    places = numbers(np.tile(np.arange(most, dtype=np.uint64), len(sizes)))
    return _less(run, places, repeated(numbers(sizes), most))


def _any(run: Run, marks: Marks, most: int) -> Marks:
    return _less(run, numbers(np.zeros(len(marks) // most, np.uint64)), _count(run, marks, most))


def _less(run: Run, a: SecretColumn, b: SecretColumn) -> Marks:
    out = np.empty(a.rows, dtype=np.uint8)
    pair = words_of(a).reshape(-1), words_of(b).reshape(-1)
    run.call(_native.compare, _LESS, False, *pair, out)
    return out


def _same(run: Run, a: SecretColumn, b: SecretColumn, *, nulls: bool) -> Marks:
    """Where both are equal; NULL equals NULL if `nulls`."""
    a, b = in_one_layout([a, b])
    found = conjunction(run, equal_marks(run, a, b), known_of(a), known_of(b))
    if not nulls:
        return found
    neither = conjunction(run, complement(run, known_of(a)), complement(run, known_of(b)))
    return disjunction(run, found, neither)


def _member(run: Run, found: Elements, of: Elements, *, nulls: bool = True) -> Marks:
    """Which elements are in another list of their row."""
    hits = np.zeros_like(found.there)
    for place in range(of.most):
        other = repeated(of.slot(place), found.most)
        here = conjunction(
            run,
            _same(run, found.value, other, nulls=nulls),
            np.repeat(of.there_at(place), found.most),
            found.there,
        )
        hits = disjunction(run, hits, here)
    return hits


def _once(run: Run, found: Elements) -> Elements:
    """Each element once, the first of several."""
    repeats = np.zeros_like(found.there)
    at = np.tile(np.arange(found.most), found.rows)
    for place in range(found.most - 1):
        other = repeated(found.slot(place), found.most)
        here = conjunction(
            run,
            _same(run, found.value, other, nulls=True),
            np.repeat(found.there_at(place), found.most),
            (at > place).astype(np.uint8),
        )
        repeats = disjunction(run, repeats, here)
    return _kept(run, found, complement(run, repeats))


def _one_after_another(run: Run, parts: Sequence[Elements]) -> Elements:
    """The elements of several lists of each row."""
    values = in_one_layout([p.value for p in parts])
    most, rows = sum(p.most for p in parts), parts[0].rows
    words = np.concatenate([words_of(v).reshape(rows, -1) for v in values], axis=1)
    known = np.concatenate([known_of(v).reshape(rows, -1) for v in values], axis=1)
    there = np.concatenate([p.there.reshape(rows, -1) for p in parts], axis=1).reshape(-1)
    layout = values[0].layout
    value = SecretColumn(layout, words.reshape(-1, layout.words), known.reshape(-1))
    return _kept(run, Elements(most, there, value), there)


def _known_both(run: Run, *values: SecretColumn) -> Marks:
    return conjunction(run, *(known_of(v) for v in values))


# --- functions


def make_list(run: Run, values: Sequence[SecretColumn]) -> SecretColumn:
    """A list of these elements."""
    values = in_one_layout(values)
    rows, layout = values[0].rows, values[0].layout
    words = np.stack([words_of(v) for v in values], axis=1).reshape(-1, layout.words)
    known = np.stack([known_of(v) for v in values], axis=1).reshape(-1)
    value = SecretColumn(layout, np.ascontiguousarray(words), np.ascontiguousarray(known))
    everywhere = np.ones(rows * len(values), dtype=np.uint8)
    found = Elements(len(values), everywhere, value)
    return listed(run, found, np.ones(rows, dtype=np.uint8))


def list_size(run: Run, a: SecretColumn) -> SecretColumn:
    """How many elements."""
    found = elements(run, a)
    return column(run, Layout(INT32), words_of(_count(run, found.there, found.most)), known_of(a))


def element(run: Run, a: SecretColumn, place: SecretColumn, counts: Marks | None) -> SecretColumn:
    """The element at a place, from the end if negative; NULL where there is none.

    With `counts` a flag is raised there.
    """
    found = elements(run, a)
    rows, target = found.rows, _from_start(run, _count(run, found.there, found.most), place)
    value, hit = constant(found.value.layout, None, rows), np.zeros(rows, dtype=np.uint8)
    for at in range(found.most):
        here = equal_marks(run, target, numbers(np.full(rows, at, dtype=np.uint64)))
        here = conjunction(run, here, found.there_at(at))
        value = choose(run, here, found.slot(at), value)
        hit = disjunction(run, hit, here)
    known = _known_both(run, a, place)
    if counts is not None:
        missing = conjunction(run, counts, known, complement(run, hit))
        run.raise_where(SecretMarks(missing), Flag.OVERFLOW)
    return _cleared(run, value, known)


def _from_start(run: Run, size: SecretColumn, place: SecretColumn) -> SecretColumn:
    """A place from 0 on; one that does not exist is below 0 or beyond the last."""
    rows = size.rows
    wide = SecretColumn(Layout(INT64), words_of(place), np.ones(rows, dtype=np.uint8))
    one, zero = (numbers(np.full(rows, n, dtype=np.uint64)) for n in (1, 0))
    backwards = _less(run, wide, zero)
    return choose(run, backwards, _sum(run, size, wide), _sum(run, wide, one, minus=True))


def _sum(run: Run, a: SecretColumn, b: SecretColumn, *, minus: bool = False) -> SecretColumn:
    """Of numbers far within 64 bits."""
    out, nowhere = np.empty(a.rows, dtype=np.uint64), np.zeros(a.rows, dtype=np.uint8)
    pair = words_of(a).reshape(-1), words_of(b).reshape(-1)
    run.checked(_native.integers, int(minus), *pair, nowhere, out)
    return numbers(out)


def contains(run: Run, a: SecretColumn, wanted: SecretColumn) -> SecretColumn:
    """Whether an element equals a value; NULL if none does and one is NULL."""
    found = elements(run, a)
    other = repeated(wanted, found.most)
    hit = _any(run, _same(run, found.value, other, nulls=False), found.most)
    known = conjunction(run, _known_both(run, a, wanted), _sure(run, hit, found))
    return truth(run, hit, known)


def _sure(run: Run, hit: Marks, *lists: Elements) -> Marks:
    """Where an answer is known: there is a hit, or no NULL that could be one."""
    sure = np.ones_like(hit)
    for one in lists:
        null = conjunction(run, one.there, complement(run, known_of(one.value)))
        sure = conjunction(run, sure, complement(run, _any(run, null, one.most)))
    return disjunction(run, hit, sure)


def position(run: Run, a: SecretColumn, wanted: SecretColumn) -> SecretColumn:
    """The place of the first element that equals a value, from 1; 0 if none does."""
    found = elements(run, a)
    hits = _same(run, found.value, repeated(wanted, found.most), nulls=False)
    rows = found.rows
    place = numbers(np.zeros(rows, dtype=np.uint64))
    for at in reversed(range(found.most)):
        here = numbers(np.full(rows, at + 1, dtype=np.uint64))
        place = choose(run, hits[at :: found.most].copy(), here, place)
    return column(run, place.layout, words_of(place), _known_both(run, a, wanted))


def distinct(run: Run, a: SecretColumn) -> SecretColumn:
    """Each element once, in order of the first."""
    return listed(run, _once(run, elements(run, a)), known_of(a))


def in_order(run: Run, a: SecretColumn, *, rising: bool, nulls_first: bool) -> SecretColumn:
    """The elements sorted."""
    found = elements(run, a)
    if found.rows == 0 or found.most == 1:
        return a
    row = np.repeat(np.arange(found.rows, dtype=np.uint64), found.most)
    everywhere = np.ones(len(row), dtype=np.uint8)
    ends = (0, found.rows - 1)
    by_row = SecretColumn(Layout(INT64), row.reshape(-1, 1), everywhere, ends)
    there = truth(run, found.there, everywhere)
    table = SecretTable(
        {"row": by_row, "there": there, "value": found.value, "place": found.places()},
        SecretMarks(everywhere),
    )
    orders = [
        Order(by_row, nullable=False),
        Order(there, descending=True, nullable=False),
        Order(found.value, not rising, nulls_first),
        Order(table.columns["place"], nullable=False),
    ]
    moved = sort_table(run, table, orders, Ties([])).columns
    marks = np.empty_like(everywhere)
    run.call(_native.words_to_marks, words_of(moved["there"]).reshape(-1), marks)
    return listed(run, Elements(found.most, marks, moved["value"]), known_of(a))


def extreme(run: Run, a: SecretColumn, *, most: bool) -> SecretColumn:
    """The least or the greatest element; NULL if there is none."""
    found = elements(run, a)
    value = found.slot(0)
    for at in range(1, found.most):
        value = (greatest if most else least)(run, value, found.slot(at))
    return value if found.most > 1 else canonical(run, value)


def joined_lists(run: Run, values: Sequence[SecretColumn]) -> SecretColumn:
    """The elements of lists, one list after the other."""
    parts = [elements(run, v) for v in values]
    return listed(run, _one_after_another(run, parts), _known_both(run, *values))


def union(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The elements of both, each once."""
    found = _one_after_another(run, [elements(run, a), elements(run, b)])
    return listed(run, _once(run, found), _known_both(run, a, b))


def intersection(run: Run, a: SecretColumn, b: SecretColumn, *, inside: bool) -> SecretColumn:
    """The elements of the first that are in the second, or not, each once."""
    found = _once(run, elements(run, a))
    hits = _member(run, found, elements(run, b))
    kept = _kept(run, found, hits if inside else complement(run, hits))
    return listed(run, kept, _known_both(run, a, b))


def overlap(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether an element that is not NULL is in both; NULL if a NULL could be one."""
    parts = elements(run, a), elements(run, b)
    hit = _any(run, _member(run, *parts, nulls=False), parts[0].most)
    empty = [complement(run, _any(run, p.there, p.most)) for p in parts]
    sure = disjunction(run, _sure(run, hit, *parts), disjunction(run, *empty))
    return truth(run, hit, conjunction(run, _known_both(run, a, b), sure))


def without(run: Run, a: SecretColumn, unwanted: SecretColumn | None) -> SecretColumn:
    """Without the elements that equal a value, or without those that are NULL."""
    found = elements(run, a)
    if unwanted is None:
        return listed(run, _kept(run, found, known_of(found.value)), known_of(a))
    hits = _same(run, found.value, repeated(unwanted, found.most), nulls=False)
    kept = _kept(run, found, complement(run, hits))
    return listed(run, kept, _known_both(run, a, unwanted))


def with_element(run: Run, a: SecretColumn, value: SecretColumn, *, at_end: bool) -> SecretColumn:
    """With another element at the end, or the start; NULL stays NULL."""
    one = elements(run, make_list(run, [value]))
    parts = [elements(run, a), one] if at_end else [one, elements(run, a)]
    return listed(run, _one_after_another(run, parts), known_of(a))


def backwards(run: Run, a: SecretColumn) -> SecretColumn:
    """The elements from the last to the first."""
    found = elements(run, a)
    rows, most, layout = found.rows, found.most, found.value.layout
    words = words_of(found.value).reshape(rows, most, -1)[:, ::-1].reshape(-1, layout.words)
    known = known_of(found.value).reshape(rows, most)[:, ::-1].reshape(-1)
    there = found.there.reshape(rows, most)[:, ::-1].reshape(-1)
    value = SecretColumn(layout, np.ascontiguousarray(words), np.ascontiguousarray(known))
    there = np.ascontiguousarray(there)
    return listed(run, _kept(run, Elements(most, there, value), there), known_of(a))


def part_of(
    run: Run,
    a: SecretColumn,
    start: SecretColumn,
    count: SecretColumn,
    counts: Marks,
    most: int | None = None,
) -> SecretColumn:
    """So many elements from a place on, from the end if negative; in `most` places, if it is given.

    A flag is raised where the place is zero, or there are fewer than none.
    """
    found, rows = elements(run, a), a.rows
    known = _known_both(run, a, start, count)
    counted = conjunction(run, counts, known)
    flag = int(Flag.OVERFLOW)
    run.checked(_native.check_range, words_of(count).reshape(-1), 0, _FARTHEST, counted, flag)
    everywhere = np.ones(rows, dtype=np.uint8)
    wide = SecretColumn(Layout(INT64), words_of(start), everywhere)
    zero = numbers(np.zeros(rows, dtype=np.uint64))
    nowhere = conjunction(run, counted, equal_marks(run, wide, zero))
    run.raise_where(SecretMarks(nowhere), Flag.OVERFLOW)
    first = _from_start(run, _count(run, found.there, found.most), start)
    end = _sum(run, first, SecretColumn(Layout(INT64), words_of(count), everywhere))
    places = found.places()
    keep = conjunction(
        run,
        complement(run, _less(run, places, repeated(first, found.most))),
        _less(run, places, repeated(end, found.most)),
        np.repeat(complement(run, _less(run, first, zero)), found.most),
    )
    kept = _kept(run, found, keep)
    return listed(run, kept if most is None else kept.first(most), known)


def repeat(run: Run, value: SecretColumn, count: int) -> SecretColumn:
    """A list of the same value a public number of times."""
    if count > 0:
        return make_list(run, [value] * count)
    nothing = Elements(1, np.zeros(value.rows, np.uint8), constant(value.layout, None, value.rows))
    return listed(run, nothing, np.ones(value.rows, dtype=np.uint8))


def flattened(run: Run, a: SecretColumn) -> SecretColumn:
    """The elements of the elements; NULL if one of these is."""
    outer = elements(run, a)
    inner = elements(run, outer.value)
    null = conjunction(run, outer.there, complement(run, known_of(outer.value)))
    known = conjunction(run, known_of(a), complement(run, _any(run, null, outer.most)))
    every = Elements(outer.most * inner.most, inner.there, inner.value)
    return listed(run, _kept(run, every, inner.there), known)


def in_one_text(
    run: Run, a: SecretColumn, mark: SecretColumn, absent: SecretColumn | None, counts: Marks
) -> SecretColumn:
    """The texts of a list with another between them; NULL left out, or as a text."""
    found, rows = elements(run, a), a.rows
    others = [mark] if absent is None else [mark, absent]
    some = np.zeros(rows, dtype=np.uint8)
    text: SecretColumn | None = None
    for at in range(found.most):
        value, there = found.slot(at), found.there_at(at)
        if absent is not None:
            value, shown = in_one_layout([value, absent])
            value = choose(run, known_of(value), value, shown)
        shows = conjunction(run, there, known_of(value))
        value = _or_empty(run, value, shows)
        if text is None:
            text = value
        else:
            between = _or_empty(run, mark, conjunction(run, shows, some))
            text = concat(run, concat(run, text, between, counts), value, counts)
        some = disjunction(run, some, shows)
    if text is None:
        raise ValueError("lists have a place")
    return column(run, text.layout, words_of(text), _known_both(run, a, *others))


def _or_empty(run: Run, a: SecretColumn, keep: Marks) -> SecretColumn:
    """The text where it is to be kept, the empty one elsewhere."""
    cleared = _cleared(run, a, keep)
    return SecretColumn(a.layout, words_of(cleared), np.ones(a.rows, dtype=np.uint8))


def each(
    run: Run, a: SecretColumn, change: Callable[[SecretColumn, Marks], SecretColumn], counts: Marks
) -> SecretColumn:
    """A list with each element changed; `change` gets where errors count."""
    found = elements(run, a)
    counted = conjunction(run, np.repeat(counts, found.most), found.there)
    return listed(run, Elements(found.most, found.there, change(found.value, counted)), known_of(a))


# --- structs


def make_struct(run: Run, kind: DataType, values: Sequence[SecretColumn]) -> SecretColumn:
    """A struct of these fields; never NULL itself."""
    everywhere = np.ones(values[0].rows, dtype=np.uint8)
    words = [p for v in values for p in (_closed(run, v, everywhere), words_of(v))]
    layout = Layout(kind, parts=tuple(v.layout for v in values))
    return SecretColumn(layout, np.concatenate(words, axis=1), everywhere)


def field(run: Run, a: SecretColumn, name: str) -> SecretColumn:
    """A field of structs; NULL where the struct is."""
    place = [n for n, _ in a.type.fields].index(name)
    start, part = a.layout.places()[place]
    words = words_of(a)
    known, _ = _opened(run, np.ascontiguousarray(words[:, start]))
    inside = np.ascontiguousarray(words[:, start + 1 : start + 1 + part.words])
    return SecretColumn(part, inside, known)


# --- rows of elements


def exploded(
    run: Run, table: SecretTable, a: SecretColumn, name: str, position: str | None, *, outer: bool
) -> SecretTable:
    """A row for each element: the columns of the table, its place, and the element.

    There is a place for each row and each place of a list. With `outer` a row without elements
    has NULL in place of one.
    """
    found = elements(run, a)
    present = marks_of(table.present)
    there = conjunction(run, np.repeat(present, found.most), found.there)
    shown = there
    if outer:
        alone = conjunction(run, present, complement(run, _any(run, found.there, found.most)))
        first = np.zeros((table.rows, found.most), dtype=np.uint8)
        first[:, 0] = alone
        shown = disjunction(run, there, first.reshape(-1))
    columns = {n: repeated(c, found.most) for n, c in table.columns.items()}
    if position is not None:
        columns[position] = column(run, Layout(INT32), words_of(found.places()), there)
    columns[name] = found.value
    return SecretTable(columns, SecretMarks(shown))
