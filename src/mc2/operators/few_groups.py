"""Groups of few values that everybody knows: every row is added to every group, masked.

No row is moved, so nothing is sorted. Keys are texts of declared domains, and whole numbers, dates
and truths of small ranges; their codes side by side say which group a row is of.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.operators.arithmetic import Operation
from mc2.operators.grouping import Aggregate, finished, group
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
    words_of,
)
from mc2.operators.logic import complement, conjunction
from mc2.operators.ordering import bounded, check_bound
from mc2.operators.packing import Form, Lying, Packer, Source
from mc2.operators.planes import joined, planes_of
from mc2.operators.run import Run
from mc2.plan.types import INT64

_MOST_BITS: Final = 6  # of a code: each row is added to as many groups as that has
_SIGN_BIT: Final = 63
_ADDED: Final = frozenset({"sum", "avg"})
_COUNTED: Final = frozenset({"count", "count_star"})
_ONE: Final = Layout(INT64)


@dataclass(frozen=True, slots=True, eq=False)
class _Codes:
    """Which group each row is of, of so many."""

    codes: Marks  # a byte each
    count: int
    present: Marks


def group_few(  # noqa: PLR0913, PLR0917 - the groups, and which of them
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    bound: int | None = None,
    by: Sequence[str] | None = None,
    nullable: Collection[str] | None = None,
) -> SecretTable:
    """What `grouping.group` gives; without a sort where keys and aggregates are such.

    `nullable` are the keys that rows that are there could lack, as everybody knows; all for None.
    """
    unsure = frozenset(keys if nullable is None else nullable)
    if not keys or not all(_adds(a) for a in aggregates):
        return group(run, table, keys, aggregates, bound, by)
    packer = Packer(run, Form(), table.rows)
    found: dict[str, Lying] = {}
    for key in keys:
        value = table.columns[key]
        if value.layout.is_real or not _is_small(value):
            return group(run, table, keys, aggregates, bound, by)
        known = packer.mark(known_of(value)) if key in unsure else None
        lying = packer.key(value)
        if lying is None or packer.form.used > _MOST_BITS:
            return group(run, table, keys, aggregates, bound, by)
        found[key] = Lying(lying.layout, lying.ends, lying.places, known, lying.domain)
    return _by_codes(run, table, packer, found, aggregates, bound)


def _is_small(value: SecretColumn) -> bool:
    """Whether a key takes few bits, as facts say."""
    if value.domain is not None:
        return True
    if value.layout.is_text or value.layout.is_wide:
        return False
    ends = ends_of(value.layout, value.ends)
    return ends is not None and ends[1] - ends[0] < 1 << _MOST_BITS


def _adds(one: Aggregate) -> bool:
    """Whether an aggregate is a sum of whole numbers, or a count, of all rows."""
    if one.distinct or one.function not in _ADDED | _COUNTED:
        return False
    return one.argument is None or one.function in _COUNTED or not one.argument.layout.is_real


def _by_codes(
    run: Run,
    table: SecretTable,
    packer: Packer,
    keys: dict[str, Lying],
    aggregates: Sequence[Aggregate],
    bound: int | None,
) -> SecretTable:
    bits = packer.form.used
    (words,) = packer.written()
    (codes,) = Source([words]).highest(run, bits)
    narrow = np.empty(table.rows, dtype=np.uint8)
    run.call(_native.narrow_bytes, codes, 1, narrow)
    every = _Codes(narrow, 1 << bits, marks_of(table.present))
    # The keys of each group are its code, which is public.
    numbers = np.arange(every.count, dtype=np.uint64) << np.uint64(64 - bits)
    all_keys = Source([numbers])
    rows_of_each = _counts(run, every, every.present)
    present = _some(run, rows_of_each)
    columns = {n: all_keys.column(run, lying, present) for n, lying in keys.items()}
    everywhere = np.ones(every.count, dtype=np.uint8)
    count = SecretColumn(_ONE, rows_of_each.reshape(-1, 1), everywhere)
    seen = {(id(None), id(None)): {"\0count": count}}
    parts: list[dict[str, SecretColumn]] = []
    for one in aggregates:
        same = id(one.argument), id(one.where)
        parts.append(seen.setdefault(same, {}))
        parts[-1].update(_totals(run, every, one, parts[-1]))
    for place, found in enumerate(parts):
        columns |= {f"{part}{place}": c for part, c in found.items()}
    groups = SecretTable(columns, SecretMarks(present))
    rows = table.rows if bound is None else min(bound, table.rows)
    check_bound(run, present, rows)
    groups = bounded(run, groups, rows)
    results = {n: groups.columns[n] for n in keys}
    for place, one in enumerate(aggregates):
        partial = {part: groups.columns[f"{part}{place}"] for part in parts[place]}
        results[one.name] = finished(run, one, partial, marks_of(groups.present))
    return SecretTable(results, groups.present)


def _some(run: Run, counts: Words) -> Marks:
    """1 where a count is not zero."""
    zero = np.empty(len(counts), dtype=np.uint8)
    run.call(_native.equal_rows, counts.reshape(-1, 1), np.zeros((1, 1), np.uint64), zero)
    return complement(run, zero)


def _counts(run: Run, every: _Codes, keep: Marks) -> Words:
    out = np.empty(every.count, dtype=np.uint64)
    run.checked(_native.count_by_code, every.codes, keep, out)
    return out


def _totals(
    run: Run, every: _Codes, one: Aggregate, known: dict[str, SecretColumn]
) -> dict[str, SecretColumn]:
    """The count and, for sums, the sum of each group, unless they are known already."""
    marks = [every.present]
    marks += [known_of(one.argument)] if one.argument is not None else []
    marks += [one.where] if one.where is not None else []
    keep = conjunction(run, *marks)
    found: dict[str, SecretColumn] = {}
    everywhere = np.ones(every.count, dtype=np.uint8)
    if "\0count" not in known:
        words = _counts(run, every, keep).reshape(-1, 1)
        found["\0count"] = SecretColumn(_ONE, words, everywhere)
    if one.function in _ADDED and one.argument is not None and "\0value" not in known:
        words = _sums(run, every, one.argument, keep)
        layout = Layout(DataType("decimal", DECIMAL_DIGITS, one.argument.type.scale))
        found["\0value"] = SecretColumn(layout, words, everywhere)
    return found


def _sums(run: Run, every: _Codes, argument: SecretColumn, keep: Marks) -> Words:
    """Exact sums of each group, in two words, the lower one first."""
    if not argument.layout.is_wide:
        return joined(_sums_of_words(run, every, flat_words_of(argument), keep))
    # A lower word is read as signed: where its highest bit is set it counts 2^64 too little.
    low, high = planes_of(words_of(argument))
    negative = np.empty(argument.rows, dtype=np.uint8)
    run.call(_native.spread_bit, low, _SIGN_BIT, negative)
    lows = _sums_of_words(run, every, low, keep)
    highs = _sums_of_words(run, every, high, keep)
    carried = _counts(run, every, conjunction(run, keep, negative))
    nobody = np.zeros(every.count, dtype=np.uint8)
    total = lows[1]
    for more in (highs[0], carried):
        out = np.empty_like(total)
        run.checked(_native.integers, int(Operation.ADD), total, more, nobody, out)
        total = out
    return joined([lows[0], total])


def _sums_of_words(run: Run, every: _Codes, words: Words, keep: Marks) -> list[Words]:
    low = np.empty(every.count, dtype=np.uint64)
    high = np.empty(every.count, dtype=np.int64)
    run.checked(_native.sum_by_code, every.codes, keep, words.view(np.int64), low, high)
    return [low, high.view(np.uint64)]
