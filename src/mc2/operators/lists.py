"""Lists whose greatest number of elements is public, and structs.

The elements of all rows stand side by side as one column, so that a kernel does them all at once:
each row has as many places as the longest list could need, and how many hold elements is secret.
NULL equals NULL inside of lists (docs/spec/plan.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.comparisons import equal_marks, greatest, least
from mc2.operators.constants import constant
from mc2.operators.elements import (
    Elements,
    any_of,
    cleared_where,
    count_marked,
    elements,
    in_layout,
    in_one_layout,
    is_less,
    known_places,
    listed,
    member_marks,
    numbers,
    once,
    one_after_another,
    place_marks,
    repeated,
    same_marks,
    without_gaps,
)
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    known_of,
    marks_of,
    words_of,
)
from mc2.operators.logic import choose, column, complement, conjunction, disjunction, truth
from mc2.operators.ordering import Order, Ties, sort_table
from mc2.operators.planes import canonical
from mc2.operators.run import Flag, Run
from mc2.operators.texts import concat
from mc2.plan.types import INT32, INT64

_FARTHEST: Final = 1 << 31


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
    return column(
        run, Layout(INT32), words_of(count_marked(run, found.there, found.most)), known_of(a)
    )


def element(run: Run, a: SecretColumn, place: SecretColumn, counts: Marks | None) -> SecretColumn:
    """The element at a place, from the end if negative; NULL where there is none.

    With `counts` a flag is raised there.
    """
    found = elements(run, a)
    rows, target = found.rows, _from_start(run, count_marked(run, found.there, found.most), place)
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
    return cleared_where(run, value, known)


def _from_start(run: Run, size: SecretColumn, place: SecretColumn) -> SecretColumn:
    """A place from 0 on; one that does not exist is below 0 or beyond the last."""
    rows = size.rows
    wide = SecretColumn(Layout(INT64), words_of(place), np.ones(rows, dtype=np.uint8))
    one, zero = (numbers(np.full(rows, n, dtype=np.uint64)) for n in (1, 0))
    backwards = is_less(run, wide, zero)
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
    hit = any_of(run, same_marks(run, found.value, other, nulls=False), found.most)
    known = conjunction(run, _known_both(run, a, wanted), _sure(run, hit, found))
    return truth(run, hit, known)


def _sure(run: Run, hit: Marks, *lists: Elements) -> Marks:
    """Where an answer is known: there is a hit, or no NULL that could be one."""
    sure = np.ones_like(hit)
    for one in lists:
        null = conjunction(run, one.there, complement(run, known_of(one.value)))
        sure = conjunction(run, sure, complement(run, any_of(run, null, one.most)))
    return disjunction(run, hit, sure)


def position(run: Run, a: SecretColumn, wanted: SecretColumn) -> SecretColumn:
    """The place of the first element that equals a value, from 1; 0 if none does."""
    found = elements(run, a)
    hits = same_marks(run, found.value, repeated(wanted, found.most), nulls=False)
    rows = found.rows
    place = numbers(np.zeros(rows, dtype=np.uint64))
    for at in reversed(range(found.most)):
        here = numbers(np.full(rows, at + 1, dtype=np.uint64))
        place = choose(run, hits[at :: found.most].copy(), here, place)
    return column(run, place.layout, words_of(place), _known_both(run, a, wanted))


def distinct(run: Run, a: SecretColumn) -> SecretColumn:
    """Each element once, in order of the first."""
    return listed(run, once(run, elements(run, a)), known_of(a))


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
    return listed(run, one_after_another(run, parts), _known_both(run, *values))


def union(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The elements of both, each once."""
    found = one_after_another(run, [elements(run, a), elements(run, b)])
    return listed(run, once(run, found), _known_both(run, a, b))


def intersection(run: Run, a: SecretColumn, b: SecretColumn, *, inside: bool) -> SecretColumn:
    """The elements of the first that are in the second, or not, each once."""
    found = once(run, elements(run, a))
    hits = member_marks(run, found, elements(run, b))
    kept = without_gaps(run, found, hits if inside else complement(run, hits))
    return listed(run, kept, _known_both(run, a, b))


def overlap(run: Run, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """Whether an element that is not NULL is in both; NULL if a NULL could be one."""
    parts = elements(run, a), elements(run, b)
    hit = any_of(run, member_marks(run, *parts, nulls=False), parts[0].most)
    empty = [complement(run, any_of(run, p.there, p.most)) for p in parts]
    sure = disjunction(run, _sure(run, hit, *parts), disjunction(run, *empty))
    return truth(run, hit, conjunction(run, _known_both(run, a, b), sure))


def without(run: Run, a: SecretColumn, unwanted: SecretColumn | None) -> SecretColumn:
    """Without the elements that equal a value, or without those that are NULL."""
    found = elements(run, a)
    if unwanted is None:
        return listed(run, without_gaps(run, found, known_of(found.value)), known_of(a))
    hits = same_marks(run, found.value, repeated(unwanted, found.most), nulls=False)
    kept = without_gaps(run, found, complement(run, hits))
    return listed(run, kept, _known_both(run, a, unwanted))


def with_element(run: Run, a: SecretColumn, value: SecretColumn, *, at_end: bool) -> SecretColumn:
    """With another element at the end, or the start; NULL stays NULL."""
    one = elements(run, make_list(run, [value]))
    parts = [elements(run, a), one] if at_end else [one, elements(run, a)]
    return listed(run, one_after_another(run, parts), known_of(a))


def backwards(run: Run, a: SecretColumn) -> SecretColumn:
    """The elements from the last to the first."""
    found = elements(run, a)
    rows, most, layout = found.rows, found.most, found.value.layout
    words = (
        words_of(found.value).reshape(rows, most, layout.words)[:, ::-1].reshape(-1, layout.words)
    )
    known = known_of(found.value).reshape(rows, most)[:, ::-1].reshape(-1)
    there = found.there.reshape(rows, most)[:, ::-1].reshape(-1)
    value = SecretColumn(layout, np.ascontiguousarray(words), np.ascontiguousarray(known))
    there = np.ascontiguousarray(there)
    return listed(run, without_gaps(run, Elements(most, there, value), there), known_of(a))


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
    first = _from_start(run, count_marked(run, found.there, found.most), start)
    end = _sum(run, first, SecretColumn(Layout(INT64), words_of(count), everywhere))
    places = found.places()
    keep = conjunction(
        run,
        complement(run, is_less(run, places, repeated(first, found.most))),
        is_less(run, places, repeated(end, found.most)),
        np.repeat(complement(run, is_less(run, first, zero)), found.most),
    )
    kept = without_gaps(run, found, keep)
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
    known = conjunction(run, known_of(a), complement(run, any_of(run, null, outer.most)))
    every = Elements(outer.most * inner.most, inner.there, inner.value)
    return listed(run, without_gaps(run, every, inner.there), known)


def zipped(run: Run, kind: DataType, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    """The elements of both by their places, as structs; NULL beside what the other has more."""
    most = max(a.layout.most, b.layout.most)
    one, two = (elements(run, in_layout(x, replace(x.layout, most=most))) for x in (a, b))
    there = disjunction(run, one.there, two.there)
    pairs = make_struct(run, _element_of(kind), [one.value, two.value])
    return listed(
        run, Elements(most, there, cleared_where(run, pairs, there)), _known_both(run, a, b)
    )


def _element_of(kind: DataType) -> DataType:
    if kind.element is None:
        raise TypeError(f"a {kind} is no list")
    return kind.element


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
    cleared = cleared_where(run, a, keep)
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
    words = [p for v in values for p in (place_marks(run, v, everywhere), words_of(v))]
    layout = Layout(kind, parts=tuple(v.layout for v in values))
    return SecretColumn(layout, np.concatenate(words, axis=1), everywhere)


def field(run: Run, a: SecretColumn, name: str) -> SecretColumn:
    """A field of structs; NULL where the struct is."""
    place = [n for n, _ in a.type.fields].index(name)
    start, part = a.layout.places()[place]
    words = words_of(a)
    known, _ = known_places(run, np.ascontiguousarray(words[:, start]))
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
        alone = conjunction(run, present, complement(run, any_of(run, found.there, found.most)))
        first = np.zeros((table.rows, found.most), dtype=np.uint8)
        first[:, 0] = alone
        shown = disjunction(run, there, first.reshape(-1))
    columns = {n: repeated(c, found.most) for n, c in table.columns.items()}
    if position is not None:
        columns[position] = column(run, Layout(INT32), words_of(found.places()), there)
    columns[name] = found.value
    return SecretTable(columns, SecretMarks(shown))
