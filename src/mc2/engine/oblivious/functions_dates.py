"""Functions of dates and times that are more than their fields: see `functions.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.oblivious.calls import Around, OfArguments, OfValues, text_of
from mc2.operators import dates, moment_texts, months
from mc2.operators.handles import SecretColumn
from mc2.plan.expressions import Expression
from mc2.plan.functions_moments import DAYS


def _next_day(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    day = 1 + DAYS.index(text_of(arguments[1]))
    return dates.next_day(of.run, of.of(arguments[0]), day, of.counts)


def _months_between(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    rounded = text_of(arguments[2]) == "true"
    one, other = (of.of(a) for a in arguments[:2])
    return months.months_between(of.run, one, other, of.counts, rounded=rounded)


def _format(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    pattern = text_of(arguments[1])
    return moment_texts.format_moment(of.run, of.of(arguments[0]), pattern, of.counts)


def _parse(*, strict: bool) -> OfArguments:
    def compute(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
        value, pattern = of.of(arguments[0]), text_of(arguments[1])
        return moment_texts.parse_moment(of.run, value, pattern, of.counts, strict=strict)

    return compute


DATES_BY_VALUES: Final[Mapping[str, OfValues]] = {
    "exact_second": lambda of, v, kind: dates.exact_second(of.run, v[0], kind),
    "iso_year": lambda of, v, _: dates.iso_year(of.run, v[0]),
    "whole_months": lambda of, v, _: months.whole_months(of.run, v[0], v[1], of.counts),
    "make_timestamp": lambda of, v, _: dates.make_timestamp(of.run, v, of.counts),
}
DATES_BY_ARGUMENTS: Final[Mapping[str, OfArguments]] = {
    "next_day": _next_day,
    "months_between": _months_between,
    "format_moment": _format,
    "parse_moment": _parse(strict=True),
    "try_parse_moment": _parse(strict=False),
}
