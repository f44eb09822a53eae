"""Aggregates that look at a group's rows in order, or at their distance from the mean.

Each is a window over the groups that marks rows, or gives them a term, and plain aggregates of what
it gave; a formula of these is the answer. So each takes a sort more than a plain aggregate does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from mc2 import _native
from mc2.operators import windows
from mc2.operators.arithmetic import Operation, compute
from mc2.operators.blocks import absent_row
from mc2.operators.comparisons import equal, equal_marks, greatest, less_marks
from mc2.operators.constants import constant
from mc2.operators.conversions import cast
from mc2.operators.grouping import Aggregate, group
from mc2.operators.handles import (
    Layout,
    Marks,
    SecretColumn,
    SecretTable,
    flat_words_of,
    known_of,
    words_of,
)
from mc2.operators.logic import (
    choose,
    column,
    complement,
    conjunction,
    disjunction,
    truth,
    value_marks,
)
from mc2.operators.numbers import whole
from mc2.operators.ordering import Order, Ties
from mc2.operators.planes import layouts_of
from mc2.operators.run import Run
from mc2.operators.spread import square_root
from mc2.plan.oblivious_functions import STATISTICS
from mc2.plan.types import DOUBLE, INT64, INTEGER_BITS

__all__ = ["STATISTICS", "Statistic", "group_statistics"]

_WHOLE: Final = windows.Span(windows.END, windows.END)
_REAL: Final = Layout(DOUBLE)
_POWERS: Final = {"skewness": 3, "kurtosis": 4}
_WORD: Final = 64
_PARTS: Final = ("n", "a", "b", "c", *(f"bit{place}" for place in range(_WORD)))
"""What the answer of a group is made of."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """One such aggregate, of rows where `where` is 1; `share` is that of a percentile."""

    name: str
    function: str
    argument: SecretColumn
    second: SecretColumn | None = None
    share: float = 0.0
    where: Marks | None = None


@dataclass(slots=True)
class _Work:
    """Rows with hidden columns, and the plain aggregates of these that are wanted."""

    run: Run
    keys: Sequence[str]
    table: SecretTable
    wanted: list[tuple[str, str, str, str | None]] = field(default_factory=list)

    def add(self, name: str, value: SecretColumn) -> None:
        """Another column of all rows."""
        self.table = SecretTable({**self.table.columns, name: value}, self.table.present)

    def arrange(self, orders: Sequence[tuple[str, bool]]) -> windows.Ordered:
        """All rows by group, then by some columns, downwards or not; NULL is the greatest."""
        found = [Order(self.table.columns[n], down, nulls_first=down) for n, down in orders]
        rows = windows.arrange(self.run, self.table, self.keys, found, Ties([]))
        self.table = rows.table
        return rows

    def marks(self, name: str) -> Marks:
        """Where a truth value of this name is true."""
        return value_marks(self.run, self.table.columns[name])


def group_statistics(  # noqa: PLR0913, PLR0917 - what `group` takes, and the statistics
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    statistics: Sequence[Statistic],
    bound: int | None = None,
    by: Sequence[str] | None = None,
) -> SecretTable:
    """As `group`, with statistics beside the aggregates: keys, aggregates, statistics."""
    work = _Work(run, keys, _with_arguments(run, table, keys, aggregates, statistics))
    for place, one in enumerate(statistics):
        _PREPARED[one.function](work, f"\0{place}", one)
    found = group(run, work.table, keys, [*_again(work, aggregates), *_hidden(work)], bound, by)
    columns = {n: found.columns[n] for n in (*keys, *(a.name for a in aggregates))}
    for place, one in enumerate(statistics):
        parts = {
            name: found.columns[f"\0{place}{name}"]
            for name in _PARTS
            if f"\0{place}{name}" in found.columns
        }
        columns[one.name] = _FINISHED[one.function](run, one, parts)
    return SecretTable(columns, found.present)


def _with_arguments(
    run: Run,
    table: SecretTable,
    keys: Sequence[str],
    aggregates: Sequence[Aggregate],
    statistics: Sequence[Statistic],
) -> SecretTable:
    """The keys, and all that is aggregated, as columns that are moved together."""
    everywhere = np.ones(table.rows, dtype=np.uint8)
    columns = {k: table.columns[k] for k in keys}
    for one in aggregates:
        if one.argument is not None:
            columns[f"\0v{one.name}"] = one.argument
        if one.where is not None:
            columns[f"\0w{one.name}"] = truth(run, one.where, everywhere)
    for place, statistic in enumerate(statistics):
        first, second = statistic.argument, statistic.second
        valid = [known_of(c) for c in (second, first) if c is not None]
        if statistic.function in {"min_by", "max_by"}:  # the first may be NULL
            valid = valid[:1]
        valid += [] if statistic.where is None else [statistic.where]
        columns[f"\0{place}valid"] = truth(run, conjunction(run, *valid), everywhere)
        columns[f"\0{place}x"] = first
        if second is not None:
            columns[f"\0{place}y"] = second
    made = SecretTable(columns, table.present)
    return made if table.rows else absent_row(layouts_of(made))


def _again(work: _Work, aggregates: Sequence[Aggregate]) -> list[Aggregate]:
    """The plain aggregates, of the rows as they stand now."""
    found = []
    for one in aggregates:
        where = None if one.where is None else work.marks(f"\0w{one.name}")
        argument = work.table.columns.get(f"\0v{one.name}")
        found.append(Aggregate(one.name, one.function, argument, one.kind, where, one.distinct))
    return found


def _hidden(work: _Work) -> list[Aggregate]:
    found = []
    for name, function, argument, where in work.wanted:
        value = None if function == "count_star" else work.table.columns[argument]
        kind = INT64 if value is None else value.type
        marks = None if where is None else work.marks(where)
        found.append(Aggregate(name, function, value, kind, marks))
    return found


# --- the row at a place


def _numbered(work: _Work, p: str, orders: Sequence[tuple[str, bool]]) -> windows.Ordered:
    return work.arrange([(f"{p}valid", True), *orders])


def _number(run: Run, rows: windows.Ordered) -> SecretColumn:
    everywhere = np.ones(rows.rows, dtype=np.uint8)
    return cast(run, windows.rank_rows(run, rows, "row_number"), INT64, everywhere)


def _pick(work: _Work, p: str, part: str, number: SecretColumn, place: SecretColumn) -> None:
    """The argument of the row with that number is a part of the answer."""
    run = work.run
    here = conjunction(run, equal_marks(run, number, place), work.marks(f"{p}valid"))
    work.add(f"{p}pick{part}", truth(run, here, np.ones(number.rows, dtype=np.uint8)))
    work.wanted.append((f"{p}{part}", "min", f"{p}x", f"{p}pick{part}"))


def _integer(value: int, rows: int) -> SecretColumn:
    return constant(Layout(INT64), value, rows)


def _by(*, down: bool) -> Callable[[_Work, str, Statistic], None]:
    def prepare(work: _Work, p: str, _: Statistic) -> None:
        rows = _numbered(work, p, [(f"{p}y", down), (f"{p}x", down)])
        _pick(work, p, "a", _number(work.run, rows), _integer(1, rows.rows))

    return prepare


def _mode(work: _Work, p: str, _: Statistic) -> None:
    rows = _numbered(work, p, [(f"{p}x", False)])
    alike = windows.Ordered(rows.table, rows.equals, rows.equals)
    many = Aggregate("n", "count_star", None, INT64)
    work.add(f"{p}many", windows.over_frame(work.run, alike, many, _WHOLE))
    rows = _numbered(work, p, [(f"{p}many", True), (f"{p}x", False)])
    _pick(work, p, "a", _number(work.run, rows), _integer(1, rows.rows))


def _count(work: _Work, p: str, rows: windows.Ordered) -> SecretColumn:
    many = Aggregate("n", "count_star", None, INT64, work.marks(f"{p}valid"))
    return windows.over_frame(work.run, rows, many, _WHOLE)


def _nowhere(a: SecretColumn) -> Marks:
    return np.zeros(a.rows, dtype=np.uint8)


def _real(run: Run, what: Operation, a: SecretColumn, b: SecretColumn) -> SecretColumn:
    return compute(run, what, a, b, DOUBLE, _nowhere(a))


def _place(run: Run, count: SecretColumn, share: float, less: int) -> SecretColumn:
    """A share of a count, or of one less."""
    nowhere = _nowhere(count)
    fewer = compute(run, Operation.SUBTRACT, count, _integer(less, count.rows), INT64, nowhere)
    return _real(
        run,
        Operation.MULTIPLY,
        constant(_REAL, share, count.rows),
        cast(run, fewer, DOUBLE, nowhere),
    )


def _discrete(work: _Work, p: str, one: Statistic) -> None:
    run, rows = work.run, _numbered(work, p, [(f"{p}x", False)])
    place = _place(run, _count(work, p, rows), one.share, 0)
    up = whole(run, place, INT64, _nowhere(place), upwards=True)
    _pick(work, p, "a", _number(run, rows), greatest(run, up, _integer(1, rows.rows)))


def _percentile(work: _Work, p: str, one: Statistic) -> None:
    run, rows = work.run, _numbered(work, p, [(f"{p}x", False)])
    place = _place(run, _count(work, p, rows), one.share, 1)
    number = compute(
        run, Operation.SUBTRACT, _number(run, rows), _integer(1, rows.rows), INT64, _nowhere(place)
    )
    for part, upwards in (("a", False), ("b", True)):
        _pick(work, p, part, number, whole(run, place, INT64, _nowhere(place), upwards=upwards))
    work.wanted.append((f"{p}n", "count_star", "", f"{p}valid"))


# --- distances from the mean


def _far(work: _Work, p: str, rows: windows.Ordered, side: str) -> SecretColumn:
    """How far a value is from the mean of those that count."""
    value = work.table.columns[f"{p}{side}"]
    mean = Aggregate("m", "avg", value, DOUBLE, work.marks(f"{p}valid"))
    found = windows.over_frame(work.run, rows, mean, _WHOLE)
    return _real(work.run, Operation.SUBTRACT, value, found)


def _summed(work: _Work, p: str, part: str, term: SecretColumn) -> None:
    work.add(f"{p}term{part}", term)
    work.wanted.append((f"{p}{part}", "sum", f"{p}term{part}", f"{p}valid"))


def _paired(work: _Work, p: str, one: Statistic) -> None:
    rows = work.arrange([])
    x, y = (_far(work, p, rows, side) for side in "xy")
    _summed(work, p, "a", _real(work.run, Operation.MULTIPLY, x, y))
    if one.function == "corr":
        for part, far in (("b", x), ("c", y)):
            _summed(work, p, part, _real(work.run, Operation.MULTIPLY, far, far))
    work.wanted.append((f"{p}n", "count_star", "", f"{p}valid"))


def _moments(work: _Work, p: str, one: Statistic) -> None:
    far = _far(work, p, work.arrange([]), "x")
    power = far
    for exponent in range(2, _POWERS[one.function] + 1):
        power = _real(work.run, Operation.MULTIPLY, power, far)
        if exponent in {2, _POWERS[one.function]}:
            _summed(work, p, "a" if exponent == 2 else "b", power)
    work.wanted.append((f"{p}n", "count_star", "", f"{p}valid"))


# --- bits


def _set_bits(work: _Work, p: str, one: Statistic) -> None:
    """How many rows have each bit."""
    words, valid = flat_words_of(work.table.columns[f"{p}x"]), work.marks(f"{p}valid")
    for place in range(INTEGER_BITS[one.argument.type.name]):
        mark = np.empty_like(valid)
        work.run.call(_native.spread_bit, words, place, mark)
        here = conjunction(work.run, mark, valid)
        work.add(f"{p}has{place}", truth(work.run, here, np.ones_like(here)))
        work.wanted.append((f"{p}bit{place}", "count_star", "", f"{p}has{place}"))
    work.wanted.append((f"{p}n", "count_star", "", f"{p}valid"))


# --- the answer of a group

_Parts = Mapping[str, SecretColumn]


def _first(_run: Run, _one: Statistic, parts: _Parts) -> SecretColumn:
    return parts["a"]


def _interpolated(run: Run, one: Statistic, parts: _Parts) -> SecretColumn:
    place, a, b = _place(run, parts["n"], one.share, 1), parts["a"], parts["b"]
    nowhere = _nowhere(a)
    low, high = (
        cast(run, whole(run, place, INT64, nowhere, upwards=up), DOUBLE, nowhere)
        for up in (False, True)
    )
    left = _real(run, Operation.MULTIPLY, _real(run, Operation.SUBTRACT, high, place), a)
    right = _real(run, Operation.MULTIPLY, _real(run, Operation.SUBTRACT, place, low), b)
    between = _real(run, Operation.ADD, left, right)
    same = disjunction(run, equal_marks(run, low, high), value_marks(run, equal(run, a, b)))
    return choose(run, same, a, between)


def _without(run: Run, found: SecretColumn, drops: SecretColumn) -> SecretColumn:
    """NULL where another number is zero."""
    zero = equal_marks(run, drops, constant(_REAL, 0.0, drops.rows))
    known = conjunction(run, known_of(found), complement(run, zero))
    return column(run, found.layout, words_of(found), known)


def _covariance(run: Run, one: Statistic, parts: _Parts) -> SecretColumn:
    fewer = _place(run, parts["n"], 1.0, int(one.function == "covar_samp"))
    return _without(run, _real(run, Operation.DIVIDE, parts["a"], fewer), fewer)


def _correlation(run: Run, _: Statistic, parts: _Parts) -> SecretColumn:
    spread = square_root(run, _real(run, Operation.MULTIPLY, parts["b"], parts["c"]))
    return _without(run, _real(run, Operation.DIVIDE, parts["a"], spread), spread)


def _skewness(run: Run, _: Statistic, parts: _Parts) -> SecretColumn:
    second, third = parts["a"], parts["b"]
    count = square_root(run, _place(run, parts["n"], 1.0, 0))
    square = _real(run, Operation.MULTIPLY, second, second)
    cube = square_root(run, _real(run, Operation.MULTIPLY, square, second))
    above = _real(run, Operation.MULTIPLY, count, third)
    return _without(run, _real(run, Operation.DIVIDE, above, cube), second)


def _kurtosis(run: Run, _: Statistic, parts: _Parts) -> SecretColumn:
    second, fourth = parts["a"], parts["b"]
    above = _real(run, Operation.MULTIPLY, _place(run, parts["n"], 1.0, 0), fourth)
    ratio = _real(run, Operation.DIVIDE, above, _real(run, Operation.MULTIPLY, second, second))
    three = constant(_REAL, 3.0, second.rows)
    return _without(run, _real(run, Operation.SUBTRACT, ratio, three), second)


def _combined(run: Run, one: Statistic, parts: _Parts) -> SecretColumn:
    """Bits that all rows have, that some have, or an odd number; the highest one is the sign's."""
    count, bits = parts["n"], INTEGER_BITS[one.argument.type.name]
    zero, marks = _integer(0, count.rows), []
    for place in range(bits):
        many = parts[f"bit{place}"]
        if one.function == "bits_xor_of":
            mark = np.empty(count.rows, dtype=np.uint8)
            run.call(_native.spread_bit, flat_words_of(many), 0, mark)
        elif one.function == "bits_or_of":
            mark = less_marks(run, zero, many)
        else:
            mark = equal_marks(run, many, count)
        marks.append(mark)
    marks += [marks[-1]] * (_WORD - bits)
    words = np.empty(count.rows, dtype=np.uint64)
    run.call(_native.gather_bits, marks, words)
    return column(run, one.argument.layout, words, less_marks(run, zero, count))


_PREPARED: Final[Mapping[str, Callable[[_Work, str, Statistic], None]]] = {
    "min_by": _by(down=False),
    "max_by": _by(down=True),
    "mode": _mode,
    "percentile": _percentile,
    "percentile_disc": _discrete,
    "covar_pop": _paired,
    "covar_samp": _paired,
    "corr": _paired,
    "skewness": _moments,
    "kurtosis": _moments,
    **dict.fromkeys(("bits_and_of", "bits_or_of", "bits_xor_of"), _set_bits),
}
_FINISHED: Final[Mapping[str, Callable[[Run, Statistic, _Parts], SecretColumn]]] = {
    "min_by": _first,
    "max_by": _first,
    "mode": _first,
    "percentile": _interpolated,
    "percentile_disc": _first,
    "covar_pop": _covariance,
    "covar_samp": _covariance,
    "corr": _correlation,
    "skewness": _skewness,
    "kurtosis": _kurtosis,
    **dict.fromkeys(("bits_and_of", "bits_or_of", "bits_xor_of"), _combined),
}
