"""Joins: both sides are sorted together by their keys, and what one has is carried to the other.

With a side whose keys are unique, one sort and one scan do (a foreign-key join). Otherwise rows are
repeated as often as the other side has partners, up to a public bound, after Krastnikov,
Kerschbaum, Stebila, "Efficient oblivious database joins" (PVLDB 13, 2020).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DataType
from mc2.operators.ascending import in_order, may_ascend
from mc2.operators.elements import in_one_layout
from mc2.operators.grouping import check_unique
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretMarks,
    SecretTable,
    Words,
    ends_of,
    flat_words_of,
    known_of,
    marks_of,
    order_of,
    with_order,
    words_of,
)
from mc2.operators.logic import complement, conjunction
from mc2.operators.ordering import Order, Ties, sort_table
from mc2.operators.packing import (
    Form,
    Lying,
    Packed,
    Packer,
    Piece,
    Source,
    compacted_planes,
    merge_packed,
    repacked,
    sort_packed,
)
from mc2.operators.planes import (
    SIGNED,
    UNSIGNED,
    Key,
    joined,
    marks_at,
    sort_planes,
)
from mc2.operators.run import Flag, Run
from mc2.operators.texts import fitted

_PLACE: Final = "\0place"  # no column of a plan starts so
_FEW: Final = 64  # right rows that every left row is compared with
_FEW_WORDS: Final = 16
_BITS: Final = 64
_MERGED: Final = 3  # sorts cost about so many times what a merge does


@dataclass(frozen=True, slots=True, eq=False)
class On:
    """What must be equal: a column of each side, of one type. `nulls` lets NULL equal NULL."""

    left: SecretColumn
    right: SecretColumn
    nulls: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Together:
    """The rows of both sides in the order of their keys, the right ones of a group first.

    `planes` have the left table in left rows and the right one in right rows, each packed.
    """

    starts: Marks
    is_left: Marks
    lefts: Marks  # that can have partners: they are there, and no key is NULL
    rights: Marks
    planes: list[Words]
    left: Packed
    right: Packed
    found: Piece  # a bit that is free in left rows


def look_up(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], *, unique: bool
) -> tuple[SecretTable, SecretTable, Marks]:
    """For each left row a right row with the same keys, if there is one.

    Gives the left table in another order, the partners of its rows, and where there is one.
    `unique` raises a flag if two right rows have the same keys.
    """
    if unique:
        found = _among_few(run, left, right, on)
        if found is not None:
            return found
    return _looked_up(run, left, right, on, unique=unique)


def _looked_up(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], *, unique: bool
) -> tuple[SecretTable, SecretTable, Marks]:
    """`look_up` by the order of the keys, in which the left rows come out."""
    both = _sort_together(run, left, right, on)
    if unique:
        check_unique(run, both.starts, both.rights)
    wanted = sorted({p.plane for p in _pieces(both.right)}) if right.columns else []
    carried, seen = [], np.empty_like(both.starts)
    for index in wanted or [0]:
        out = np.empty_like(both.planes[index])
        run.call(_native.fill_forward, both.starts, both.rights, both.planes[index], out, seen)
        carried.append(out)
    marked = _with_mark(run, both, conjunction(run, seen, both.lefts))
    own = sorted({p.plane for p in _pieces(both.left)} | {both.found.plane})
    chosen = [*(marked[index] for index in own), *carried[: len(wanted)]]
    moved = compacted_planes(run, chosen, both.is_left, left.rows)
    mine = Source(_in_places(own, moved, len(marked)))
    marks = mine.mark(run, both.found)
    kept = _in_order_of_keys(run, mine.table(run, both.left), left, on)
    if not wanted:
        return kept, SecretTable({}, SecretMarks(marks)), marks
    theirs = Source(_in_places(wanted, moved[len(own) :], len(marked)))
    return kept, theirs.table(run, both.right, marks), marks


def _in_order_of_keys(
    run: Run, found: SecretTable, source: SecretTable, on: Sequence[On]
) -> SecretTable:
    """Rows of a side that stand in order of their one key: its column ascends if it did before.

    Else rows without a key could be among them.
    """
    if len(on) != 1 or order_of(on[0].left) is None:
        return found
    return _ascending(run, found, _names_of(source, on[0].left))


def _ascending(
    run: Run, found: SecretTable, names: Collection[str], *, front: bool = False
) -> SecretTable:
    present = marks_of(found.present)
    columns = {
        name: in_order(run, value, present, front=front) if name in names else value
        for name, value in found.columns.items()
    }
    return SecretTable(columns, found.present)


def _in_places(places: Sequence[int], planes: Sequence[Words], count: int) -> list[Words]:
    """Planes at their places among so many; what stands at the others is not read."""
    found = [planes[0]] * count
    for place, plane in zip(places, planes, strict=False):
        found[place] = plane
    return found


def _pieces(packed: Packed) -> list[Piece]:
    """Where a table's columns lie, whatever else lies there."""
    found = []
    for lying in packed.columns.values():
        found += [piece for place in lying.places for piece in place.pieces]
        found += [] if lying.known is None else [lying.known]
    return [*found, packed.present]


def _with_mark(run: Run, both: _Together, marks: Marks) -> list[Words]:
    """The planes, with marks in the bit that is free."""
    plane = both.planes[both.found.plane]
    out = np.empty_like(plane)
    whole = [(0, 0, 0, 0, 64, 0)]
    run.call(_native.pack_bits, [plane.reshape(-1, 1)], whole, [marks], [both.found.left], out)
    planes = list(both.planes)
    planes[both.found.plane] = out
    return planes


def _among_few(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On]
) -> tuple[SecretTable, SecretTable, Marks] | None:
    """`look_up` without a sort: each left row is compared with all right rows, which are few.

    None if the keys take more than one word, or the right rows too many, or they are not few.
    """
    if right.rows > _FEW or left.rows < right.rows:
        return None
    pairs = [_of_one_width(one) for one in on]
    keys = Packer(run, Form(), left.rows), Packer(run, Form(), right.rows)
    for one in pairs:
        for packer, value in zip(keys, (one.left, one.right), strict=True):
            if one.nulls:
                packer.mark(known_of(value))
            packer.key(_in_common(one, value))
    words = Packer(run, Form(), right.rows)
    packed = words.table(right)
    if not pairs or keys[0].form.planes != 1 or words.form.planes > _FEW_WORDS:
        return None
    (mine,), (theirs,) = keys[0].written(), keys[1].written()
    kept = (
        _partners(run, left, pairs, left_side=True),
        _partners(run, right, pairs, left_side=False),
    )
    _check_few(run, theirs, kept[1])
    found = np.empty(left.rows, dtype=np.uint8)
    planes = [np.empty(left.rows, dtype=np.uint64) for _ in range(words.form.planes)]
    rows = joined(words.written())
    run.call(_native.match_few, mine, kept[0], theirs, kept[1], rows, planes, found)
    partners = Source(planes).table(run, packed, found)
    return left, partners, found


def _check_few(run: Run, keys: Words, keep: Marks) -> None:
    """Raise a flag if two kept rows have one key."""
    marks = np.empty_like(keys)
    run.call(_native.marks_to_words, keep, marks)
    by = [Key(marks, SIGNED), Key(keys, UNSIGNED)]
    (kept, _), _ = sort_planes(run, by, [])
    found, _ = sort_planes(run, by, [])
    starts = np.empty(len(keys), dtype=np.uint8)
    run.call(_native.starts, found, starts)
    check_unique(run, starts, marks_at(run, [kept], 0))


def _partners(run: Run, table: SecretTable, pairs: Sequence[On], *, left_side: bool) -> Marks:
    """The rows that can have partners: they are there, and no key that must be known is NULL."""
    sides = [one.left if left_side else one.right for one in pairs if not one.nulls]
    return conjunction(run, marks_of(table.present), *(known_of(c) for c in sides))


def _in_common(one: On, value: SecretColumn) -> SecretColumn:
    """A key with the ends that both sides together have."""
    if one.left.layout.is_text or one.left.layout.is_wide or one.left.layout.is_real:
        return value
    ends = [ends_of(c.layout, c.ends) for c in (one.left, one.right)]
    if ends[0] is None or ends[1] is None:
        return _same_order(value, SecretColumn(value.layout, words_of(value), known_of(value)))
    both = min(ends[0][0], ends[1][0]), max(ends[0][1], ends[1][1])
    return _same_order(value, SecretColumn(value.layout, words_of(value), known_of(value), both))


def _same_order(value: SecretColumn, found: SecretColumn) -> SecretColumn:
    order = order_of(value)
    return found if order is None else with_order(found, order)


def side_by_side(left: SecretTable, right: SecretTable, present: Marks) -> SecretTable:
    """The columns of two tables of one length."""
    return SecretTable({**left.columns, **right.columns}, SecretMarks(present))


def join_unique(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], *, outer: bool
) -> SecretTable:
    """The left rows with their partners, of which there is at most one each.

    With `outer` also those without one, with NULLs. There are as many places as left rows.
    """
    few = _among_few(run, left, right, on)
    kept, partners, found = few or _looked_up(run, left, right, on, unique=True)
    present = marks_of(kept.present)
    if outer:
        return side_by_side(kept, partners, present)
    pairs = side_by_side(kept, partners, conjunction(run, present, found))
    return pairs if few else _pairs_in_order(run, pairs, (left, right), on)


def _pairs_in_order(
    run: Run, pairs: SecretTable, sides: tuple[SecretTable, SecretTable], on: Sequence[On]
) -> SecretTable:
    """Pairs that stand in order of their one key, in which they agree: none of them is NULL."""
    if len(on) != 1 or not may_ascend(on[0].left.layout):
        return pairs
    left, right = _names_of(sides[0], on[0].left), _names_of(sides[1], on[0].right)
    return _ascending(run, pairs, left | right)


def fetched(run: Run, rows: SecretTable, source: SecretTable, on: Sequence[On]) -> SecretTable:
    """The rows in their order, with the columns of their one partner: NULL where there is none.

    The rows that are there stand first; a flag is raised if two rows of `source` have one key.
    """
    left = numbered(rows, _PLACE)
    kept, partners, _ = look_up(run, left, source, on, unique=True)
    both = side_by_side(kept, partners, marks_of(kept.present))
    number = Order(both.columns[_PLACE], nullable=False)
    found = sort_table(run, both, [number], Ties([_PLACE], [_PLACE]))
    columns = {n: c for n, c in found.columns.items() if n != _PLACE}
    return SecretTable(columns, found.present)


def partnered(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On]
) -> tuple[SecretTable, Marks]:
    """The left rows, and whether each has a partner: for semi and anti joins, and EXISTS."""
    kept, _, found = look_up(run, left, SecretTable({}, right.present), on, unique=False)
    return kept, found


def match(
    run: Run, left: SecretTable, right: SecretTable, on: Sequence[On], bound: int
) -> SecretTable:
    """All pairs of rows with the same keys, in `bound` places; a flag if there are more.

    Pairs of one left row stand together.
    """
    both = _sort_together(run, left, right, on)
    copies, seats = np.empty((2, len(both.starts)), dtype=np.uint64), np.empty_like(both.planes[0])
    sides = both.starts, both.lefts, both.rights
    run.call(_native.count_pairs, *sides, bound, *copies, seats)
    pairs_left, _, valid = _expand(run, both.planes, copies[0], bound)
    mine = Source(pairs_left).table(run, both.left, valid)

    # What both sides have the same stands in the left rows.
    shared = {r: n for r, n in _shared_keys(left, right, on).items() if n in mine.columns}
    own = {n: lying for n, lying in both.right.columns.items() if n not in shared}
    planes, packed = repacked(run, both.planes, Packed(own, both.right.present))
    repeated, copy, _ = _expand(run, [seats, *planes], copies[1], bound)
    place = np.empty(bound, dtype=np.uint64)
    run.call(_native.seat_rows, repeated[0], copy, valid, place)
    (_, *aligned) = sort_packed(run, [place, *repeated[1:]], _BITS)
    theirs = Source(aligned).table(run, packed, valid)
    if len(on) == 1 and may_ascend(on[0].left.layout):
        mine = _ascending(run, mine, _names_of(left, on[0].left), front=True)
        theirs = _ascending(run, theirs, _names_of(right, on[0].right) - shared.keys(), front=True)
    columns = {
        n: _as_other(mine.columns[shared[n]], value) if n in shared else theirs.columns[n]
        for n, value in right.columns.items()
    }
    return side_by_side(mine, SecretTable(columns, theirs.present), valid)


def _names_of(table: SecretTable, value: SecretColumn) -> set[str]:
    return {n for n, c in table.columns.items() if c is value}


def _shared_keys(left: SecretTable, right: SecretTable, on: Sequence[On]) -> dict[str, str]:
    """The right columns that in all pairs are the same as a left one: what must be equal.

    Not so where values that are spelled in several ways can be equal.
    """
    found: dict[str, str] = {}
    for one in on:
        layout = one.left.layout
        same = layout == one.right.layout and one.left.domain == one.right.domain
        names = sorted(_names_of(left, one.left))
        if same and names and not layout.is_nested and not layout.is_real:
            found |= dict.fromkeys(_names_of(right, one.right), names[0])
    return found


def _as_other(value: SecretColumn, other: SecretColumn) -> SecretColumn:
    """A column that agrees with another one, whose values lie between its own ends."""
    if value.layout.is_text:
        return value
    found = SecretColumn(value.layout, words_of(value), known_of(value), other.ends)
    return _same_order(value, found)


def cross(run: Run, left: SecretTable, right: SecretTable) -> SecretTable:
    """Each left row with each right row: copies at public places."""
    first = _taken(left, np.repeat(np.arange(left.rows), right.rows))
    second = _taken(right, np.tile(np.arange(right.rows), left.rows))
    present = conjunction(run, marks_of(first.present), marks_of(second.present))
    return side_by_side(first, second, present)


def numbered(table: SecretTable, name: str) -> SecretTable:
    """A table with a column more, of row numbers."""
    words = np.arange(table.rows, dtype=np.uint64).reshape(-1, 1)
    numbers = SecretColumn(Layout(DataType("int64")), words, np.ones(table.rows, dtype=np.uint8))
    return SecretTable({**table.columns, name: numbers}, table.present)


def with_nulls(run: Run, table: SecretTable, missing: SecretTable, present: Marks) -> SecretTable:
    """The rows of a table that are marked, and NULLs for the columns of a missing one."""
    nulls = {
        name: SecretColumn(
            c.layout,
            np.zeros((table.rows, c.layout.words), dtype=np.uint64),
            np.zeros(table.rows, dtype=np.uint8),
        )
        for name, c in missing.columns.items()
    }
    there = conjunction(run, marks_of(table.present), present)
    return SecretTable({**table.columns, **nulls}, SecretMarks(there))


def check_one(run: Run, many: SecretColumn, where: Marks) -> None:
    """Raise a flag where a count is above one."""
    counted = conjunction(run, where, known_of(many))
    flag = int(Flag.DUPLICATE_KEY)
    run.checked(_native.check_range, flat_words_of(many), 0, 1, counted, flag)


def _taken(table: SecretTable, places: np.ndarray) -> SecretTable:
    columns = {
        name: SecretColumn(c.layout, words_of(c)[places], known_of(c)[places])
        for name, c in table.columns.items()
    }
    return SecretTable(columns, SecretMarks(marks_of(table.present)[places]))


# --- both sides as one table


def _sort_together(run: Run, left: SecretTable, right: SecretTable, on: Sequence[On]) -> _Together:
    pairs = [_of_one_width(one) for one in on]
    if len(pairs) == 1 and any(order_of(c) is not None for c in (pairs[0].left, pairs[0].right)):
        pairs = [replace(pairs[0], nulls=False)]  # that side has none
    tables = left, right
    packers = Packer(run, Form(), left.rows), Packer(run, Form(), right.rows)
    lying: tuple[dict[int, Lying], dict[int, Lying]] = {}, {}
    for one in pairs:
        for packer, value, seen in zip(packers, (one.left, one.right), lying, strict=True):
            if one.nulls:
                packer.mark(known_of(value))
            found = packer.key(_in_common(one, value))
            if found is not None:
                seen[id(value)] = replace(found, ends=value.ends)
    bits = packers[0].form.used
    # All rows have these three marks in the same bits: their side, whether they take part, and one
    # that is free.
    marks = []
    for packer, table, is_left in zip(packers, tables, (True, False), strict=True):
        own = np.full(table.rows, is_left, dtype=np.uint8)
        takes = _partners(run, table, pairs, left_side=is_left)
        marks = [packer.mark(own), packer.mark(takes), packer.mark(None)]
    side, part, free = marks
    packed = packers[0].table(left, lying[0]), packers[1].table(right, lying[1])
    source = Source(_in_order_together(run, packers, pairs, bits + 1))
    starts = np.zeros(source.rows, dtype=np.uint8)
    starts[:1] = 1
    if bits:
        run.call(_native.starts, source.highest(run, bits), starts)
    lefts, part_takers = source.mark(run, side), source.mark(run, part)
    rights = conjunction(run, part_takers, complement(run, lefts))
    takers = conjunction(run, part_takers, lefts)
    return _Together(starts, lefts, takers, rights, list(source.planes), *packed, free)


def _in_order_together(
    run: Run, packers: tuple[Packer, Packer], pairs: Sequence[On], bits: int
) -> list[Words]:
    """The rows of both sides, in order of so many bits: merged where that costs less.

    A side whose one key ascends need not be sorted; then the other one is, alone, and both are
    merged, unless it is nearly all of the rows.
    """
    planes, first = _of_both(packers), packers[0].rows
    loose = [
        part
        for part, keys in (
            (slice(None, first), [p.left for p in pairs]),
            (slice(first, None), [p.right for p in pairs]),
        )
        if len(pairs) != 1 or order_of(keys[0]) is None
    ]
    unsorted = sum(len(planes[0][part]) for part in loose)
    if unsorted * _MERGED > len(planes[0]) * (_MERGED - 1):
        return sort_packed(run, planes, bits)
    for part in loose:
        sort_packed(run, [p[part] for p in planes], bits)
    return merge_packed(run, planes, bits, first)


def _of_both(packers: tuple[Packer, Packer]) -> list[Words]:
    """The planes of both sides, the right rows after the left ones."""
    rows = packers[0].rows
    count = max(p.form.planes for p in packers)
    planes = [np.empty(rows + packers[1].rows, dtype=np.uint64) for _ in range(count)]
    packers[0].write([p[:rows] for p in planes])
    packers[1].write([p[rows:] for p in planes])
    return planes


def _of_one_width(one: On) -> On:
    if one.left.layout.is_nested:
        left, right = in_one_layout([one.left, one.right])
        return On(left, right, one.nulls)
    if not one.left.layout.is_text:
        if one.left.layout != one.right.layout:
            raise TypeError("what must be equal is of one layout")
        return one
    if one.left.layout == one.right.layout and one.left.domain == one.right.domain:
        return one
    size = max(one.left.layout.text_bytes, one.right.layout.text_bytes)
    return On(fitted(one.left, size), fitted(one.right, size), one.nulls)


def expanded(run: Run, table: SecretTable, counts: Words, bound: int) -> tuple[SecretTable, Words]:
    """Rows as often as their counts say, in `bound` places, and which copy each is.

    A flag is raised if there are more.
    """
    packer = Packer(run, Form(), table.rows)
    packed = packer.table(table)
    planes, copy, valid = _expand(run, packer.written(), counts, bound)
    return Source(planes).table(run, packed, valid), copy


def _expand(
    run: Run, planes: Sequence[Words], counts: Words, bound: int
) -> tuple[list[Words], Words, Marks]:
    """Rows as often as their counts say: the planes, which copy each is, and where there is one."""
    rows = np.empty((len(planes[0]), len(planes)), dtype=np.uint64)
    run.call(_native.pack, list(planes), rows)
    out = np.empty((bound, len(planes)), dtype=np.uint64)
    copy, valid = np.empty(bound, dtype=np.uint64), np.empty(bound, dtype=np.uint8)
    run.checked(_native.expand, rows, counts, out, copy, valid)
    repeated = [np.empty(bound, dtype=np.uint64) for _ in planes]
    run.call(_native.unpack, out, repeated)
    return repeated, copy, valid
