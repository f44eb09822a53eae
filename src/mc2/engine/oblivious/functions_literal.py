"""Functions of which some arguments are constants of the plan: patterns, places, units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mc2.engine.oblivious.calls import Around, OfArguments, text_of
from mc2.engine.oblivious.functions_bytes import BYTES_BY_ARGUMENTS
from mc2.engine.oblivious.functions_dates import DATES_BY_ARGUMENTS
from mc2.operators import dates, grouped_digits, patterns, phrases, rounding, texts
from mc2.operators.handles import MOST_TEXT_BYTES, SecretColumn
from mc2.operators.run import Run
from mc2.plan.expressions import Call, Expression
from mc2.plan.oblivious_texts import (
    CHARACTER_BYTES,
    has_fixed_places,
    is_fixed,
    is_public_replacement,
)
from mc2.plan.regex_steps import pattern_steps

_RUN_STEP: Final = ((2, 0),)


def _like(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    steps = texts.like_steps(text_of(arguments[1]))
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _contains(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_fixed(arguments[1]):
        return phrases.contains(of.run, of.of(arguments[0]), of.of(arguments[1]))
    steps = (*_RUN_STEP, *texts.literal_steps(text_of(arguments[1])), *_RUN_STEP)
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _starts_with(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_fixed(arguments[1]):
        return phrases.begins(of.run, of.of(arguments[0]), of.of(arguments[1]))
    steps = (*texts.literal_steps(text_of(arguments[1])), *_RUN_STEP)
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _ends_with(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_fixed(arguments[1]):
        return phrases.ends(of.run, of.of(arguments[0]), of.of(arguments[1]))
    steps = (*_RUN_STEP, *texts.literal_steps(text_of(arguments[1])))
    return texts.matches(of.run, of.of(arguments[0]), steps)


def _substring(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    if not has_fixed_places(arguments):
        values = [of.of(a) for a in arguments]
        found = phrases.substring_at(of.run, values[0], values[1], values[2])
        most = MOST_TEXT_BYTES
        if is_fixed(arguments[2]):
            most = CHARACTER_BYTES * max(1, int(text_of(arguments[2])))
        return texts.shortened(found, min(found.layout.text_bytes, most))
    start, count = int(text_of(arguments[1])), int(text_of(arguments[2]))
    return texts.substring(of.run, of.of(arguments[0]), start, count)


def _round(way: str) -> OfArguments:
    def compute(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
        value, digits = of.of(arguments[0]), int(text_of(arguments[1]))
        if not value.layout.is_real:
            kind = of.type(Call(way, tuple(arguments)))
            return rounding.round_exact(of.run, value, digits, way, kind, of.counts)
        if way == "round":
            return rounding.round_double(of.run, value, digits)
        return rounding.whole_double(of.run, value, to_even=True)

    return compute


def _truncate(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    return dates.truncate(of.run, text_of(arguments[0]), of.of(arguments[1]))


def _trim(name: str) -> OfArguments:
    start, end = name != "trim_end", name != "trim_start"

    def compute(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
        value = of.of(arguments[0])
        if len(arguments) == 1:
            return texts.trim(of.run, value, start=start, end=end)
        return phrases.trim_any(of.run, value, text_of(arguments[1]), start=start, end=end)

    return compute


def _replace(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    if not is_public_replacement(arguments):
        text, *others = (of.of(a) for a in arguments)
        return phrases.replace_secret(of.run, text, others[0], others[1])
    old, new = (text_of(a).encode() for a in arguments[1:])
    return phrases.replace(of.run, of.of(arguments[0]), old, new)


def _translate(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    old, new = text_of(arguments[1]), text_of(arguments[2])
    return phrases.translate(of.run, of.of(arguments[0]), old, new)


def _repeat(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    return phrases.repeat(of.run, of.of(arguments[0]), int(text_of(arguments[1])), of.counts)


def _pad(*, start: bool) -> OfArguments:
    def compute(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
        length, fixed = int(text_of(arguments[1])), is_fixed(arguments[2])
        fill = text_of(arguments[2]) if fixed else of.of(arguments[2])
        return phrases.pad(of.run, of.of(arguments[0]), length, fill, of.counts, start=start)

    return compute


def _part(
    take: Callable[[Run, SecretColumn, bytes, int], SecretColumn],
) -> OfArguments:
    def compute(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
        mark, number = text_of(arguments[1]).encode(), int(text_of(arguments[2]))
        return take(of.run, of.of(arguments[0]), mark, number)

    return compute


def _format_number(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    value, digits = of.of(arguments[0]), int(text_of(arguments[1]))
    if value.layout.is_real:
        return grouped_digits.format_double(of.run, value, digits, of.counts)
    return grouped_digits.format_decimal(of.run, value, digits)


def _matches(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    return patterns.find_pattern(of.run, of.of(arguments[0]), pattern_steps(text_of(arguments[1])))


OF_ARGUMENTS: Final[Mapping[str, OfArguments]] = {
    "matches": _matches,
    **{name: _trim(name) for name in ("trim", "trim_start", "trim_end")},
    "replace": _replace,
    "translate": _translate,
    "repeat": _repeat,
    "pad_start": _pad(start=True),
    "pad_end": _pad(start=False),
    "split_part": _part(phrases.split_part),
    "substring_index": _part(phrases.substring_index),
    "format_number": _format_number,
    "like": _like,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "substring": _substring,
    "truncate_to": _truncate,
    **{way: _round(way) for way in rounding.WAYS},
    **DATES_BY_ARGUMENTS,
    **BYTES_BY_ARGUMENTS,
}
"""By name."""
