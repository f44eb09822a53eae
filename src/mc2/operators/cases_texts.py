"""Cases of operators of texts, curves, buckets and statistics: see `mc2.operators.cases`."""

from __future__ import annotations

from typing import Final

from mc2.formats.schema import DataType, decimal
from mc2.operators import (
    arithmetic,
    buckets,
    curves,
    grouped_digits,
    letters,
    numbers,
    patterns,
    phrases,
    spelling,
    statistics,
    texts,
)
from mc2.operators.arithmetic import Operation
from mc2.operators.grouping import Aggregate
from mc2.operators.made import (
    BINARY,
    INSTANT,
    KINDS,
    NARROW,
    TEXT,
    WIDE,
    Made,
    case,
    everywhere,
)
from mc2.operators.run import Run
from mc2.plan.regex_steps import pattern_steps
from mc2.plan.types import BOOLEAN, DATE, DOUBLE, FLOAT, INT32, INT64


@case("texts")
def _texts(run: Run, made: Made) -> object:
    a, b = (made.column(TEXT, 127, 17) for _ in range(2))
    counts = everywhere(made)
    patterns = ("%", "a%", "%b%", "_c", "", "a_%c%")
    return [
        *(texts.matches(run, a, texts.like_steps(p)) for p in patterns),
        texts.matches(run, a, texts.literal_steps("abc")),
        texts.count_characters(run, a), texts.count_characters(run, made.column(BINARY, 99, 8)),
        texts.change_case(run, a, counts, lower=True),
        texts.change_case(run, a, counts, lower=False),
        texts.substring(run, a, 2, 3), texts.substring(run, a, -2, 1),
        texts.trim(run, a, start=True, end=True), texts.concat(run, a, b, counts),
        texts.fitted(a, 30),
    ]  # fmt: skip


@case("phrases")
def _phrases(run: Run, made: Made) -> object:
    a, b = made.column(TEXT, 127, 17), made.column(TEXT, 127, 5)
    counts, start, count = everywhere(made), made.column(INT32, 9), made.column(INT32, 9)
    return [
        phrases.substring_at(run, a, start, count), phrases.position(run, a, b),
        phrases.contains(run, a, b), phrases.begins(run, a, b), phrases.ends(run, a, b),
        phrases.reverse(run, a), phrases.replace(run, a, b"ab", b"abc"),
        phrases.replace(run, a, b"", b"x"), phrases.translate(run, a, "abc", "\u00e9"),
        phrases.trim_any(run, a, "ab", start=True, end=True), phrases.repeat(run, b, 3, counts),
        phrases.repeat(run, b, 0, counts), phrases.pad(run, a, 9, "xy", counts, start=True),
        phrases.pad(run, a, 20, "", counts, start=False),
        phrases.pad(run, a, 0, "x", counts, start=True),
        phrases.split_part(run, a, b",", 3), phrases.split_part(run, a, b"", 2),
        phrases.substring_index(run, a, b"ab", -2), phrases.substring_index(run, a, b"", 1),
        phrases.name_of(run, count, "SunMonTue"), phrases.pad(run, a, 9, b, counts, start=True),
        phrases.concat_with(run, b, [a, b, a], counts),
        phrases.replace_secret(run, b, b, a),
    ]  # fmt: skip


@case("grouped_digits")
def _grouped_digits(run: Run, made: Made) -> object:
    kinds = (NARROW, WIDE, decimal(3, 3), decimal(38, 0))
    double, counts = made.column(DOUBLE), everywhere(made)
    return [
        *(grouped_digits.format_decimal(run, made.column(k), n) for k in kinds for n in (0, 2, 5)),
        *(grouped_digits.format_double(run, double, n, counts) for n in (0, 3)),
    ]


@case("letters")
def _letters(run: Run, made: Made) -> object:
    a, counts = made.column(TEXT, 127, 17), everywhere(made)
    return [f(run, a, counts) for f in (letters.lower, letters.upper, letters.capitalize)]


@case("patterns")
def _patterns(run: Run, made: Made) -> object:
    a = made.column(TEXT, 127, 9)
    wanted = ("ab", "^[a-c]+$", "(a|^b)d{2,3}|x.$", "[^a-z]", "", "^", "$", "z{0}", "\\w")
    return [patterns.find_pattern(run, a, pattern_steps(text)) for text in wanted]


@case("curves")
def _curves(run: Run, made: Made) -> object:
    a, b = made.column(DOUBLE), made.column(DOUBLE)
    return [
        *(curves.curve(run, what, a) for what in curves.CURVES),
        *(curves.angle(run, what, a) for what in curves.ANGLES),
        *(curves.curve_of_two(run, what, a, b) for what in curves.OF_TWO),
        curves.angle_of_point(run, a, b),
    ]


@case("reals")
def _reals(run: Run, made: Made) -> object:
    counts, found = everywhere(made), []
    for kind in (DOUBLE, FLOAT):
        a, b = made.column(kind, 9), made.column(kind, 7)
        found += [arithmetic.compute(run, what, a, b, kind, counts) for what in Operation]
        found.append(numbers.modulo(run, a, b, kind, counts))
    narrow, wide = made.column(NARROW, 9), made.column(WIDE, 7)
    return [*found, numbers.whole_quotient(run, narrow, wide, counts)]


@case("buckets")
def _buckets(run: Run, made: Made) -> object:
    value, first, last = (made.column(DOUBLE, n) for n in (9, 7, 3))
    count, counts = made.column(INT64, 7), everywhere(made)
    found = [buckets.width_bucket(run, value, first, last, count, counts)]
    return [*found, numbers.factorial(run, made.column(INT32, 30))]


_SPELLED: Final = (
    BOOLEAN, INT32, INT64, NARROW, WIDE, DATE, INSTANT, DataType("timestamp_utc"), FLOAT, DOUBLE,
)  # fmt: skip


@case("spelling")
def _spelling(run: Run, made: Made) -> object:
    counts, text = everywhere(made), made.column(TEXT, 127, 17)
    shown = [spelling.to_text(run, made.column(k, 2), counts) for k in _SPELLED]
    read = [
        spelling.from_text(run, text, k, counts, strict=strict)
        for k in _SPELLED
        for strict in (True, False)
    ]
    again = zip(_SPELLED, shown, strict=True)
    return [*shown, *read, *(spelling.from_text(run, a, k, counts, strict=True) for k, a in again)]


_STATISTICS: Final = {
    f: f in {"mode", "percentile", "percentile_disc", "skewness", "kurtosis"}
    for f in sorted(statistics.STATISTICS)
    if not f.startswith("bits")
}
"""Whether it takes one column."""


for _keys in ((), ("i",)):

    @case(f"statistics.group_statistics/{len(_keys)}")
    def _statistics(run: Run, made: Made, keys: tuple[str, ...] = _keys) -> object:
        table = made.table(*KINDS)
        x, y = table.columns["r"], made.column(DOUBLE)
        wanted = [
            statistics.Statistic(f, f, x, None if one else y, 0.3, made.marks())
            for f, one in _STATISTICS.items()
        ]
        wanted.append(statistics.Statistic("t", "min_by", table.columns["t"], table.columns["w"]))
        wanted += [
            statistics.Statistic(f, f, table.columns["i"], where=made.marks())
            for f in ("bits_and_of", "bits_or_of", "bits_xor_of")
        ]
        plain = [
            Aggregate("s", "sum", x, DOUBLE, made.marks()),
            Aggregate("k", "count_star", None, INT64),
        ]
        return statistics.group_statistics(run, table, keys, plain, wanted, 12)
