"""describe, summary, cov, corr: statistics of columns, in the texts and with the zeros of Spark.

Percentiles of `summary`, and its `approx_count_distinct`, are exact here. Spark's are within an
error of the exact ones, and are those for few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.planner.connect.frame import Frame, FrameColumn, quoted, unique
from mc2.planner.connect.message import Message
from mc2.planner.connect.translator import Translate, Translator
from mc2.planner.names import same

_STRING: Final = DataType("string")
_NUMBERS: Final = ("int8", "int16", "int32", "int64", "float", "double", "decimal")
_DESCRIBED: Final = ("count", "mean", "stddev", "min", "max")
_DEFAULT: Final = (*_DESCRIBED[:4], "25%", "50%", "75%", "max")
_ROW: Final = "row"


def _describe(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    names = [str(n) for n in message.items("cols")]
    chosen = [frame.find([n]) for n in names] or list(frame.visible)
    return _table(self, frame, chosen, _DESCRIBED)


def _summary(self: Translator, message: Message) -> Frame:
    frame = self.input(message)
    wanted = [str(s) for s in message.items("statistics")] or _DEFAULT
    for name in wanted:
        _statistic(name)
    return _table(self, frame, frame.visible, wanted)


def _statistic(name: str) -> Callable[[FrameColumn], str]:
    """The expression of a statistic. Raises: PlanError."""
    if name.endswith("%"):
        try:
            share = float(name[:-1]) / 100
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise PlanError(f"{name!r} is no percentile", hint='for example "25%"')
        text = format(Decimal(repr(share)), "f")
        return lambda c: f"percentile_approx({_ranked(c)}, {text})"
    found = _STATISTICS.get(name.lower())
    if found is None:
        raise PlanError(
            f"summary knows no statistic {name!r}",
            hint=f"it has {', '.join(_STATISTICS)}, and percentiles like 25%",
        )
    return found


def _as_double(column: FrameColumn) -> str:
    """A number as it is; of a text, the number that it holds, if it holds one."""
    name = quoted(column.inner)
    return f"try_cast({name} AS DOUBLE)" if column.type.name == "string" else name


def _ranked(column: FrameColumn) -> str:
    """What percentiles are taken of: decimals as doubles, as Spark does."""
    if column.type.name == "decimal":
        return f"CAST({quoted(column.inner)} AS DOUBLE)"
    return _as_double(column)


_STATISTICS: Final[Mapping[str, Callable[[FrameColumn], str]]] = {
    "count": lambda c: f"count({quoted(c.inner)})",
    "approx_count_distinct": lambda c: f"count(DISTINCT {quoted(c.inner)})",
    "count_distinct": lambda c: f"count(DISTINCT {quoted(c.inner)})",
    "mean": lambda c: f"avg({_as_double(c)})",
    "stddev": lambda c: f"stddev({_as_double(c)})",
    "min": lambda c: f"min({quoted(c.inner)})",
    "max": lambda c: f"max({quoted(c.inner)})",
}


def _table(
    self: Translator, frame: Frame, columns: Sequence[FrameColumn], wanted: Sequence[str]
) -> Frame:
    """One row for each statistic, in this order; one column of texts for each number or text."""
    shown = [c for c in columns if c.type.name in _NUMBERS or c.type.name == "string"]
    if not shown:
        raise PlanError("there is no column of numbers or texts to describe")
    for column in shown:
        if same(column.name, "summary"):
            raise PlanError("a column is called summary, as the names are", hint="rename it")
        if sum(same(c.name, column.name) for c in columns) > 1:
            raise PlanError(f"two columns are called {column.name!r}", hint="rename one")
    cells = [[f"s{i}_{j}" for j in range(len(wanted))] for i in range(len(shown))]
    items = [
        f"CAST({_statistic(statistic)(column)} AS STRING) AS {name}"
        for column, names in zip(shown, cells, strict=True)
        for statistic, name in zip(wanted, names, strict=True)
    ]
    made = [FrameColumn(n, n, _STRING, nullable=True) for names in cells for n in names]
    row = self.program.step(f"SELECT {', '.join(items)} FROM {frame.sql}", frame, made)
    return _upright(self, row, ["summary", *(c.name for c in shown)], wanted, cells)


def _upright(
    self: Translator,
    row: Frame,
    names: Sequence[str],
    wanted: Sequence[str],
    cells: Sequence[Sequence[str]],
) -> Frame:
    """The one row of all statistics, as a row for each."""
    labels = [f"'{statistic}'" for statistic in wanted]
    inner = unique([*names, _ROW])
    items = [
        f"{_by_row(texts)} AS {quoted(name)}"
        for texts, name in zip([labels, *cells], inner, strict=False)
    ]
    numbers = ", ".join(f"({n})" for n in range(len(wanted)))
    text = (
        f"SELECT {', '.join(items)}, n AS {quoted(inner[-1])} FROM {row.sql} CROSS JOIN "
        f"(SELECT CAST(col1 AS INT) AS n FROM VALUES {numbers}) ORDER BY n"
    )
    shown = [FrameColumn(n, i, _STRING, nullable=True) for n, i in zip(names, inner, strict=False)]
    place = FrameColumn(inner[-1], inner[-1], DataType("int32"), nullable=False, hidden=True)
    return self.program.step(text, row, [*shown, place])


def _by_row(texts: Sequence[str]) -> str:
    *first, last = texts
    if not first:
        return last
    whens = " ".join(f"WHEN n = {n} THEN {text}" for n, text in enumerate(first))
    return f"CASE {whens} ELSE {last} END"


def _of_two(function: str, what: str, of_none: str) -> Translate:
    """A statistic of two columns of numbers, in one row.

    Spark counts NULL as 0 here, unlike the functions of these names, and has a value (`of_none`)
    where those give NULL: for less than two rows, or a column that does not vary.
    """

    def translate(self: Translator, message: Message) -> Frame:
        frame = self.input(message)
        columns = [frame.find([message.text(name)]) for name in ("col1", "col2")]
        method = message.text("method", "pearson")
        if method != "pearson":
            raise PlanError(f"{what} knows the method pearson alone, as Spark's does")
        for column in columns:
            if column.type.name not in _NUMBERS:
                raise PlanError(f"{what} takes columns of numbers, and {column.name!r} is none")
        zero = "CAST(0 AS DOUBLE)"
        one, two = (f"coalesce(CAST({quoted(c.inner)} AS DOUBLE), {zero})" for c in columns)
        made = FrameColumn(function, "value", DataType("double"), nullable=True)
        otherwise = f"CAST('{of_none}' AS DOUBLE)"
        value = f"coalesce({function}({one}, {two}), {otherwise})"
        text = f"SELECT {value} AS value FROM {frame.sql}"
        return self.program.step(text, frame, [made])

    return translate


KINDS: Final[Mapping[str, Translate]] = {
    "describe": _describe,
    "summary": _summary,
    "cov": _of_two("covar_samp", "stat.cov", "0"),
    "corr": _of_two("corr", "stat.corr", "NaN"),
}
