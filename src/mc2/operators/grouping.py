"""Groups: rows are sorted by their keys, scanned once, and the last row of each group is kept.

Rows that come in order of their one key stay where they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import Operation, narrowed, scaled, widened
from mc2.operators.ascending import in_order
from mc2.operators.conversions import cast
from mc2.operators.exact import ADDED, STATES, added_up, group_states
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
    order_of,
    words_of,
)
from mc2.operators.logic import TRUTH, column, complement, conjunction
from mc2.operators.ordering import bounded, check_bound
from mc2.operators.packing import Form, Lying, Packed, Packer, Source, sort_packed
from mc2.operators.planes import (
    UNSIGNED,
    bit_planes,
    canonical,
    compared_words,
    joined,
    ordered_words,
    planes_of,
    restored_words,
    value_keys,
)
from mc2.operators.run import Flag, Run
from mc2.operators.spread import SPREADS, spread, squared_distances
from mc2.plan.types import DOUBLE, INT64

_ONE: Final = Layout(INT64)
FUNCTIONS: Final = (
    "count_star", "count", "sum", "avg", "min", "max", "bool_and", "bool_or", *sorted(SPREADS),
)  # fmt: skip
"""The aggregates that there are, by their names in plans."""


@dataclass(frozen=True, slots=True, eq=False)
class Aggregate:
    """One aggregate: of an argument (none for count_star), of rows where `where` is 1.

    `kind` is the type of its result, `distinct` takes equal arguments once. `counts`: of how many
    values each argument has been made already, or for how many rows a row of a count stands.
    """

    name: str
    function: str
    argument: SecretColumn | None
    kind: DataType
    where: Marks | None = None
    distinct: bool = False
    counts: Words | None = None


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of groups, and those of them that decide the others: names, all public.

    With `in_place`, rows that come in order of their one key are not moved.
    """

    names: Sequence[str]
    by: Sequence[str]
    in_place: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Groups:
    """Rows in order of their keys."""

    starts: Marks
    ends: Marks  # the last row of each group that is there
    first: Marks | None  # the first of equal arguments, for distinct ones
    present: Marks


def group(
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    bound: int | None = None,
    by: Sequence[str] | None = None,
) -> SecretTable:
    """One row for each combination of keys, NULL being one; without keys exactly one row.

    Columns are the keys, then the aggregates. `bound` is the greatest number of groups: public.
    `by` are keys that decide all of them: a flag is raised if rows that agree in these do not
    agree in all.
    Cost: a sort of the rows for all aggregates together, and one more for each distinct argument.
    """
    if not keys:
        return _one_group(run, table, aggregates)
    rows = table.rows if bound is None else min(bound, table.rows)
    plain = [a for a in aggregates if not a.distinct]
    parts: dict[str, SecretColumn] = {}
    chosen = _Keys(keys, keys if by is None else by, len(plain) == len(aggregates))
    found = _sorted_groups(run, table, chosen, plain, None, rows)
    for one in aggregates:
        if one.distinct:
            # Groups come out in the order of their keys each time, so the rows agree.
            parts |= _sorted_groups(run, table, chosen, [one], one.argument, rows).columns
    columns = {**found.columns, **parts}
    names = [*keys, *(a.name for a in aggregates)]
    return SecretTable({name: columns[name] for name in names}, found.present)


def distinct(run: Run, table: SecretTable, bound: int | None = None) -> SecretTable:
    """Each row once."""
    return group(run, table, list(table.columns), [], bound)


def _one_group(run: Run, table: SecretTable, aggregates: Sequence[Aggregate]) -> SecretTable:
    """All rows together: as one group, whose row is there even if no row is."""
    columns: dict[str, SecretColumn] = {}
    for one in aggregates:
        source, argument, where = table, one.argument, one.where
        first = None
        if table.rows == 0:
            source, argument, where = _one_absent_row(argument)
        if one.distinct and argument is not None:
            argument, where, first, source = _distinct_values(run, source, argument, where)
        starts = np.zeros(source.rows, dtype=np.uint8)
        starts[:1] = 1
        ends = starts[::-1].copy()
        groups = _Groups(starts, ends, first, marks_of(source.present))
        columns |= _last_row(run, groups, one, argument, where, source.rows)
    present = SecretMarks(np.ones(1, dtype=np.uint8))
    return SecretTable(columns, present)


def _one_absent_row(
    argument: SecretColumn | None,
) -> tuple[SecretTable, SecretColumn | None, Marks | None]:
    """In place of no rows, so that there is one to scan."""
    absent = SecretMarks(np.zeros(1, dtype=np.uint8))
    if argument is not None:
        words = np.zeros((1, argument.layout.words), dtype=np.uint64)
        argument = SecretColumn(argument.layout, words, np.zeros(1, dtype=np.uint8))
    return SecretTable({}, absent), argument, None


def _distinct_values(
    run: Run, table: SecretTable, argument: SecretColumn, where: Marks | None
) -> tuple[SecretColumn, None, Marks, SecretTable]:
    present = marks_of(table.present)
    kept = present if where is None else conjunction(run, present, where)
    only = SecretTable({"argument": argument}, SecretMarks(kept))
    moved, bits, packed = _sorted_by(run, only, [argument], [])
    found = moved.table(run, packed)
    first = _starts(run, moved.highest(run, bits[0]))
    return found.columns["argument"], None, first, found


def _last_row(
    run: Run,
    groups: _Groups,
    one: Aggregate,
    argument: SecretColumn | None,
    where: Marks | None,
    rows: int,
) -> dict[str, SecretColumn]:
    """The aggregate of all rows, from the last one of its running values."""
    partial = _running(run, groups, one, argument, where)
    last = {
        name: SecretColumn(c.layout, words_of(c)[rows - 1 :].copy(), known_of(c)[rows - 1 :].copy())
        for name, c in partial.items()
    }
    if one.function == STATES:
        last["\0value"] = _states(run, groups, argument, where, 1)
    return {one.name: finished(run, one, last, np.ones(1, dtype=np.uint8))}


def _states(
    run: Run, groups: _Groups, argument: SecretColumn | None, where: Marks | None, bound: int
) -> SecretColumn:
    if argument is None:
        raise ValueError("what is added up is an argument")
    keep = _kept(run, groups, argument, where)
    return group_states(run, groups.starts, groups.ends, keep, argument, bound)


def _sorted_by(
    run: Run,
    table: SecretTable,
    keys: Sequence[SecretColumn],
    then: Sequence[Marks | SecretColumn],
) -> tuple[Source, tuple[int, int], Packed]:
    """A table in order of keys, NULLs being equal, and within them of more; absent rows last.

    Gives how many bits the keys take, and how many those and what comes then.
    """
    packer = Packer(run, Form(), table.rows)
    packer.mark(complement(run, marks_of(table.present)))
    lying: dict[int, Lying] = {}
    for key in keys:
        known = packer.mark(known_of(key))
        found = packer.key(key)
        if found is not None:
            lying[id(key)] = replace(found, known=known)
    bits = packer.form.used
    for one in then:
        if isinstance(one, SecretColumn):
            packer.key(one)
        else:
            packer.mark(one)
    every = packer.form.used
    packed = packer.table(table, lying)
    return Source(sort_packed(run, packer.written(), every)), (bits, every), packed


def rows_in_groups(
    run: Run, table: SecretTable, keys: Sequence[str], then: Sequence[str]
) -> tuple[SecretTable, Marks]:
    """All rows by group, in each by more columns; and where groups start. Absent rows are last."""
    columns = table.columns
    then_by = [columns[n] for n in then]
    moved, bits, packed = _sorted_by(run, table, [columns[k] for k in keys], then_by)
    return moved.table(run, packed), _starts(run, moved.highest(run, bits[0]))


def _starts(run: Run, keys: Sequence[Words]) -> Marks:
    out = np.empty(len(keys[0]), dtype=np.uint8)
    run.call(_native.starts, list(keys), out)
    return out


def _sorted_groups(
    run: Run,
    table: SecretTable,
    keys: _Keys,
    aggregates: Sequence[Aggregate],
    value: SecretColumn | None,
    bound: int,
) -> SecretTable:
    """Groups of the keys; rows within them in order of `value`, whose repetitions count once."""
    chosen = {k: canonical(run, table.columns[k]) for k in keys.names}
    payload = _payload(table, chosen, aggregates)
    order = order_of(chosen[keys.by[0]]) if len(keys.by) == 1 and keys.in_place else None
    if order is not None:
        moved, groups = payload, _neighbours(run, payload.present, order)
    else:
        moved, groups = _moved_together(run, payload, chosen, keys, aggregates, value)
    decided = [moved.columns[k] for k in keys.names if k not in keys.by]
    _check_decided(run, groups, decided)
    columns = {k: moved.columns[k] for k in keys.names}
    states = {}
    for place, one in enumerate(aggregates):
        argument = moved.columns.get(f"\0argument{place}")
        where = None
        if one.where is not None:
            where = known_of(moved.columns[f"\0where{place}"])
        partial = _running(run, groups, one, argument, where)
        columns |= {f"{part}{place}": c for part, c in partial.items()}
        if one.function == STATES:
            states[place] = _states(run, groups, argument, where, bound)
    found = SecretTable(columns, SecretMarks(groups.ends))
    check_bound(run, groups.ends, bound)
    found = bounded(run, found, bound)
    results = {k: found.columns[k] for k in keys.names}
    counts = marks_of(found.present)
    if order is not None:
        results[keys.by[0]] = in_order(run, results[keys.by[0]], counts)
    for place, one in enumerate(aggregates):
        partial = {
            part: found.columns[f"{part}{place}"]
            for part in _PARTS
            if f"{part}{place}" in found.columns
        }
        if place in states:
            partial["\0value"] = states[place]
        results[one.name] = finished(run, one, partial, counts)
    return SecretTable(results, found.present)


def _moved_together(
    run: Run,
    payload: SecretTable,
    chosen: Mapping[str, SecretColumn],
    keys: _Keys,
    aggregates: Sequence[Aggregate],
    value: SecretColumn | None,
) -> tuple[SecretTable, _Groups]:
    """The rows sorted by their keys, and within them by `value`."""
    by_value: list[Marks | SecretColumn] = []
    if value is not None:
        where = aggregates[0].where
        if where is not None:  # rows that do not count must not be the first of their value
            by_value.append(complement(run, where))
        by_value += [known_of(value), value]
    sources, bits, packed = _sorted_by(run, payload, [chosen[k] for k in keys.by], by_value)
    moved = sources.table(run, packed)
    starts = _starts(run, sources.highest(run, bits[0]))
    first = None if value is None else _starts(run, sources.highest(run, bits[1]))
    last = np.empty_like(starts)
    run.call(_native.ends, starts, last)
    present = marks_of(moved.present)
    return moved, _Groups(starts, conjunction(run, last, present), first, present)


def _neighbours(run: Run, present: SecretMarks, order: Words) -> _Groups:
    """Groups of rows that come in order of their key; others may stand between those there."""
    starts, there = _starts(run, [order]), marks_of(present)
    carried, seen = np.empty_like(order), np.empty_like(starts)
    run.call(_native.fill_backward, starts, there, order, carried, seen)
    # Of the rows behind each one: whether the next begins a group, and whether one is there yet.
    ends, more = np.ones_like(starts), np.zeros_like(starts)
    ends[:-1], more[:-1] = starts[1:], seen[1:]
    later = conjunction(run, more, complement(run, ends))
    return _Groups(starts, conjunction(run, there, complement(run, later)), None, there)


def _check_decided(run: Run, groups: _Groups, decided: Sequence[SecretColumn]) -> None:
    """Raise a flag where a row has another value than one before it of its group."""
    if not decided:
        return
    starts, seen = groups.starts, np.empty_like(groups.starts)
    planes = bit_planes(run, [known_of(c) for c in decided], len(starts))
    planes += [key.words for c in decided for key in value_keys(run, c)]
    filled = []
    for plane in planes:
        filled.append(np.empty_like(plane))
        run.call(_native.fill_forward, starts, groups.present, plane, filled[-1], seen)
    before = np.zeros_like(seen)
    before[1:] = seen[:-1]
    marks = _starts(run, filled), complement(run, starts), groups.present, before
    run.raise_where(SecretMarks(conjunction(run, *marks)), Flag.DUPLICATE_KEY)


_PARTS: Final = ("\0value", "\0count")  # no column of a plan has such a name


def _payload(
    table: SecretTable, keys: Mapping[str, SecretColumn], aggregates: Sequence[Aggregate]
) -> SecretTable:
    columns = dict(keys)
    for place, one in enumerate(aggregates):
        if one.argument is not None:
            columns[f"\0argument{place}"] = one.argument
        if one.where is not None:  # a column without words of meaning, known where it holds
            words = np.zeros((table.rows, 1), dtype=np.uint64)
            columns[f"\0where{place}"] = SecretColumn(_ONE, words, one.where)
    return SecretTable(columns, table.present)


def _kept(run: Run, groups: _Groups, argument: SecretColumn | None, where: Marks | None) -> Marks:
    marks = [groups.present]
    marks += [known_of(argument)] if argument is not None else []
    marks += [where] if where is not None else []
    marks += [groups.first] if groups.first is not None else []
    return conjunction(run, *marks)


def _running(
    run: Run,
    groups: _Groups,
    one: Aggregate,
    argument: SecretColumn | None,
    where: Marks | None,
) -> dict[str, SecretColumn]:
    """What has been aggregated of its group up to each row: at the last row, of all of it."""
    keep = _kept(run, groups, argument, where)
    rows = len(keep)
    count = np.empty(rows, dtype=np.uint64)
    if one.counts is None:
        run.call(_native.running_count, groups.starts, keep, count)
    else:
        count = add_counts(run, groups.starts, keep, one.counts)
    known = np.ones(rows, dtype=np.uint8)
    parts = {"\0count": SecretColumn(_ONE, count.reshape(-1, 1), known)}
    if argument is not None and one.function in SPREADS:
        parts["\0value"] = squared_distances(run, groups.starts, keep, argument, count)
    elif argument is not None and one.function not in {"count", "count_star", STATES}:
        parts["\0value"] = _running_value(run, groups, one, argument, keep)
    return parts


def _running_value(
    run: Run, groups: _Groups, one: Aggregate, argument: SecretColumn, keep: Marks
) -> SecretColumn:
    rows, known = argument.rows, np.ones(argument.rows, dtype=np.uint8)
    if one.function in {"min", "max", "bool_and", "bool_or"}:
        out = np.empty_like(words_of(argument))
        greatest = one.function in {"max", "bool_or"}
        words, flips = _comparable(run, argument)
        run.call(_native.extreme_rows, groups.starts, keep, words, flips, greatest, out)
        return SecretColumn(argument.layout, _as_stored(run, argument.layout, out), known)
    if one.function == ADDED:
        added = added_up(run, groups.starts, keep, argument)
        return SecretColumn(Layout(DOUBLE), added.reshape(-1, 1), known)
    if one.function not in {"sum", "avg"}:
        raise EngineError(f"oblivious mode has no aggregate {one.function}")
    if argument.layout.is_real:
        out = np.empty(rows, dtype=np.uint64)
        run.call(_native.exact_sum, groups.starts, keep, flat_words_of(argument), out)
        return SecretColumn(Layout(DOUBLE), out.reshape(-1, 1), known)
    low, high = np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=np.int64)
    if argument.layout.is_wide:
        in_low, in_high = planes_of(words_of(argument))
        wide = (in_low, in_high.view(np.int64))
        run.checked(_native.running_sum_wide, groups.starts, keep, *wide, low, high)
    else:
        values = flat_words_of(argument).view(np.int64)
        run.call(_native.running_sum, groups.starts, keep, values, low, high)
    layout = Layout(DataType("decimal", DECIMAL_DIGITS, argument.type.scale))
    return SecretColumn(layout, joined([low, high.view(np.uint64)]), known)


def _comparable(run: Run, argument: SecretColumn) -> tuple[Words, list[int]]:
    """Words whose order from the left, after their flips, is that of the values."""
    compared = compared_words(argument.layout)
    words = ordered_words(run, argument)[:, [word for word, _ in compared]]
    return np.ascontiguousarray(words), [flip ^ UNSIGNED for _, flip in compared]


def _as_stored(run: Run, layout: Layout, words: Words) -> Words:
    """The way back from `_comparable`."""
    stored = np.empty_like(words)
    for place, (word, _) in enumerate(compared_words(layout)):
        stored[:, word] = words[:, place]
    return restored_words(run, layout, stored)


def add_counts(run: Run, starts: Marks, keep: Marks, counts: Words) -> Words:
    """Sums of numbers of kept rows up to each row of its group: far below 2^63."""
    low, high = np.empty_like(counts), np.empty(len(counts), dtype=np.int64)
    run.call(_native.running_sum, starts, keep, counts.view(np.int64), low, high)
    return low


def running_parts(
    run: Run, starts: Marks, present: Marks, one: Aggregate
) -> dict[str, SecretColumn]:
    """What has been aggregated of its group up to each row, for `finished`; absent rows aside."""
    groups = _Groups(starts, starts, None, present)
    return _running(run, groups, one, one.argument, one.where)


def finished(
    run: Run, one: Aggregate, partial: Mapping[str, SecretColumn], counts: Marks
) -> SecretColumn:
    """The result of a group, from its value and count: NULL over no values, but for counts."""
    count = partial["\0count"]
    if one.function in {"count", "count_star"}:
        return column(run, Layout(INT64), words_of(count), counts)
    if one.function in SPREADS:
        return spread(run, one.function, partial["\0value"], count, counts)
    some = np.empty(count.rows, dtype=np.uint8)
    nothing = np.zeros((1, 1), dtype=np.uint64)
    run.call(_native.equal_rows, words_of(count), nothing, some)
    known = conjunction(run, complement(run, some), counts)
    value = partial["\0value"]
    if one.function in {"min", "max", STATES}:
        return column(run, value.layout, words_of(value), known)
    if one.function in {"bool_and", "bool_or"}:
        return column(run, TRUTH, words_of(value), known)
    words: Words
    if one.function == "avg":
        words = _mean(run, value, count, one.kind, known)
    elif value.layout.is_real:
        words = words_of(value)
    elif one.kind.name == "decimal":
        digits = one.kind.scale - value.type.scale
        wide = scaled(run, words_of(value), digits, one.kind.precision, known)
        wide = _checked_digits(run, wide, one.kind.precision, known)
        words = narrowed(run, wide, Layout(one.kind), known)
    else:
        words = narrowed(run, words_of(value), Layout(INT64), known)
    return column(run, Layout(one.kind), words, known)


def _checked_digits(run: Run, wide: Words, precision: int, known: Marks) -> Words:
    out, nothing = np.empty_like(wide), np.zeros_like(wide)
    run.checked(_native.add_wide, wide, nothing, False, precision, known, out)
    return out


def _mean(
    run: Run, value: SecretColumn, count: SecretColumn, kind: DataType, known: Marks
) -> Words:
    if kind.name == "decimal":
        out = np.empty((value.rows, 2), dtype=np.uint64)
        up = kind.scale - value.type.scale
        pair = (words_of(value), widened(run, count))
        run.checked(_native.divide_wide, *pair, up, kind.precision, known, out)
        return narrowed(run, out, Layout(kind), known)
    total = value
    if not value.layout.is_real:
        words = narrowed(run, words_of(value), Layout(INT64), known)
        total = cast(run, SecretColumn(_ONE, words.reshape(-1, 1), known), DOUBLE, known)
    mean = np.empty(value.rows, dtype=np.uint64)
    divisor = cast(run, count, DOUBLE, known)
    numbers = (flat_words_of(total), flat_words_of(divisor))
    run.checked(_native.doubles, int(Operation.DIVIDE), *numbers, known, mean)
    return mean


def check_unique(run: Run, starts: Marks, keep: Marks) -> None:
    """Raise a flag if two kept rows are in one group: a declared key is not unique."""
    count = np.empty(len(keep), dtype=np.uint64)
    run.call(_native.running_count, starts, keep, count)
    run.checked(_native.check_range, count, 0, 1, keep, int(Flag.DUPLICATE_KEY))
