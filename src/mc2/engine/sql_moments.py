"""Functions of dates and times in DuckDB's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.routines import RANGE
from mc2.engine.routines_moments import MOMENTS as ROUTINES
from mc2.engine.routines_moments import day_number, format_moment, parse_moment
from mc2.engine.sql_print import Print, named, template
from mc2.engine.sql_terms import Scribe, Term, cast_to, raising
from mc2.formats.schema import DataType
from mc2.plan.types import TIMESTAMP

_SECOND: Final = 10**6  # microseconds


def _truncate_to(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    return cast_to(f"date_trunc({arguments[0].sql}, {arguments[1].sql})", result)


def _part(name: str) -> Print:
    return template(f"CAST({name}({{0}}) AS {{type}})")


def _micros(term: Term) -> str:
    return f"epoch_us({cast_to(term.sql, TIMESTAMP)})"


def _months_between(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    name = "months_between_rounded" if arguments[2].literal == "true" else "months_between"
    return scribe.call(ROUTINES[name], *map(_micros, arguments[:2]))


def _whole_months(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return scribe.call(ROUTINES["whole_months"], *map(_micros, arguments))


def _next_day(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    day = day_number(arguments[1].literal or "")

    def body(x: str) -> str:
        return cast_to(f"({x} + CAST((({day} - isodow({x}) + 6) % 7 + 1) AS INTEGER))", result)

    return scribe.let(arguments[0], body)


def _exact_second(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    digits = f"CAST(microsecond({arguments[0].sql}) AS DECIMAL(8,0))"
    return cast_to(f"({digits} * CAST('0.000001' AS DECIMAL(8,6)))", result)


def _epoch_second(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    micros = Term(_micros(arguments[0]), result, nullable=True)

    def body(v: str) -> str:
        return f"(({v} - (({v} % {_SECOND}) + {_SECOND}) % {_SECOND}) // {_SECOND})"

    return scribe.let(micros, body)


def _make_timestamp(*parts: str) -> str:
    second = parts[-1]
    start = f"make_timestamp({', '.join(parts[:-1])}, 0)"
    micros = f"CAST({second} * CAST('1000000' AS DECIMAL(7,0)) AS BIGINT)"
    fails = raising(RANGE, TIMESTAMP)
    return (
        f"CASE WHEN {second} < 0 OR {second} > 60 THEN {fails} "
        f"ELSE CAST({start} + to_microseconds({micros}) AS TIMESTAMP) END"
    )


def _format(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return scribe.call(format_moment(arguments[1].literal or ""), _micros(arguments[0]))


def _parse(*, strict: bool) -> Print:
    def write(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        pattern = arguments[1].literal or ""
        return scribe.call(parse_moment(pattern, strict=strict), arguments[0].sql)

    return write


MOMENTS: Final[Mapping[str, Print]] = {
    "year": _part("year"),
    "quarter": _part("quarter"),
    "month": _part("month"),
    "day": _part("day"),
    "day_of_week": template("CAST((dayofweek({0}) + 1) AS {type})"),
    "day_of_year": _part("dayofyear"),
    "week": _part("week"),
    "hour": _part("hour"),
    "minute": _part("minute"),
    "second": _part("second"),
    "date_add": template("CAST(({0} + {1}) AS {type})"),
    "date_diff": template("CAST(({0} - {1}) AS {type})"),
    "add_months": template("CAST(({0} + to_months({1})) AS {type})"),
    "last_day": template("CAST(last_day({0}) AS {type})"),
    "truncate_to": _truncate_to,
    "timestamp_add": template("CAST(({0} + to_microseconds({1})) AS {type})"),
    "timestamp_diff": template("(epoch_us({0}) - epoch_us({1}))"),
    "make_date": template("make_date({0}, {1}, {2})"),
    "iso_year": _part("isoyear"),
    "iso_day_of_week": _part("isodow"),
    "exact_second": _exact_second,
    "day_name": template("left(dayname({0}), 3)"),
    "month_name": template("left(monthname({0}), 3)"),
    "next_day": _next_day,
    "months_between": _months_between,
    "whole_months": _whole_months,
    "epoch_second": _epoch_second,
    "make_timestamp": named(_make_timestamp),
    "format_moment": _format,
    "parse_moment": _parse(strict=True),
    "try_parse_moment": _parse(strict=False),
}
"""Printers by function."""
