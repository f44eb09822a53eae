"""Functions of texts in oblivious mode: what must be a constant, and how wide answers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DECIMAL_DIGITS, DataType
from mc2.plan.expressions import Expression, Literal
from mc2.plan.oblivious_moments import pattern_bytes
from mc2.plan.regex_steps import pattern_steps
from mc2.plan.types import INTEGER_BITS

TEXTS: Final = frozenset(
    {
        "position", "replace", "translate", "reverse", "repeat", "pad_start", "pad_end",
        "split_part", "substring_index", "day_name", "month_name", "concat_with", "matches",
        "capitalize", "format_number",
    }
)  # fmt: skip
_FIXED: Final = {
    "translate": (1, 2), "repeat": (1,), "pad_start": (1,), "pad_end": (1,),
    "split_part": (1, 2), "substring_index": (1, 2),
    "trim": (1,), "trim_start": (1,), "trim_end": (1,),
}  # fmt: skip
"""Which arguments are constants, which everybody may read."""
_CHARACTERS: Final = frozenset({"translate", "trim", "trim_start", "trim_end"})
_MOST_CHARACTERS: Final = 256
"""Constant characters that are looked for, one after the other."""
CHARACTER_BYTES: Final = 4
"""The most bytes of a character in UTF-8."""
_PADS: Final = frozenset({"pad_start", "pad_end"})
_MOST_PADDED: Final = 508
"""Characters by a constant text. What is filled and the filling stand side by side."""
_MOST_REPEATED: Final = 127
"""Characters by a secret text, which is doubled until it suffices."""
MOST_SEARCHED: Final = 64
"""The most bytes of a text in which what is replaced is no constant: a search for each of them."""
_MOST_BYTES: Final = 1016
"""Of any text in oblivious mode."""
_MOST_REAL_DIGITS: Final = 20
"""After the point of a double that is written with commas."""
_MOST_PLACE: Final = 1 << 28
_DATE_BYTES: Final = 10
_INSTANT_BYTES: Final = 26
_INTEGER_BYTES: Final = {8: 4, 16: 6, 32: 11, 64: 20}
_REAL_BYTES: Final = {"double": 24, "float": 15}  # -2.2250738585072014E-308, -1.17549435E-38
_NAME_BYTES: Final = 3  # of a day or month
MOST_SPELLED: Final = 41
"""The most bytes of any value's text: a decimal's with a sign, a zero and a point."""
_ENCRYPTED: Final = 'write it in another way, or run the job with mode="encrypted"'
_SPELLED: Final = frozenset(
    {*INTEGER_BITS, *_REAL_BYTES, "decimal", "boolean", "date", "timestamp", "timestamp_utc"}
)


def is_spelled(kind: DataType) -> bool:
    """Whether oblivious mode reads values of a type from texts, and writes them."""
    return kind.name in _SPELLED


def spelled_bytes(kind: DataType) -> int:
    """The most bytes of a value's text."""
    if kind.name in INTEGER_BITS:
        return _INTEGER_BYTES[INTEGER_BITS[kind.name]]
    if kind.name == "decimal":
        point = 1 if kind.scale else 0
        return 1 + kind.precision + point + int(kind.precision == kind.scale)
    if kind.name in _REAL_BYTES:
        return _REAL_BYTES[kind.name]
    if kind.name == "boolean":
        return len("false")
    return _DATE_BYTES if kind.name == "date" else _INSTANT_BYTES


def replaced_bytes(text_bytes: int, old: int, new: int) -> int:
    """The most bytes of a text in which a text of so many bytes becomes another."""
    if not old:
        return text_bytes
    times = text_bytes // old
    return max(text_bytes, times * new + text_bytes - times * old)


def cased_bytes(text_bytes: int) -> int:
    """The most bytes in another case: a character of two may become one of three.

    Longer ones than texts may be are a flag where they come up, which few do.
    """
    return min(text_bytes + text_bytes // 2, max(text_bytes, _MOST_BYTES))


def check_grouped(kind: DataType, arguments: Sequence[Expression]) -> None:
    """Check how many fraction digits a number is written with. Raises: PlanError."""
    if kind.name != "decimal" and int(_text(arguments[1]) or 0) > _MOST_REAL_DIGITS:
        raise PlanError(
            f"oblivious mode writes doubles with at most {_MOST_REAL_DIGITS} fraction digits",
            hint="cast to decimal before, or ask for fewer digits",
        )


def grouped_bytes(digits: int) -> int:
    """The most bytes of any decimal in threes, with so many fraction digits."""
    signs = 1 + (DECIMAL_DIGITS - 1) // 3  # a minus, and commas
    return signs + DECIMAL_DIGITS + (1 + digits if digits else 0)


def is_fixed(expression: Expression) -> bool:
    """Whether it is a constant that is not NULL."""
    return isinstance(expression, Literal) and expression.text is not None


def has_fixed_places(arguments: Sequence[Expression]) -> bool:
    """Whether the places of a substring are small constants, so that it takes no more room."""
    if not all(is_fixed(a) for a in arguments[1:]):
        return False
    start, count = (int(_text(a)) for a in arguments[1:])
    return abs(start) < _MOST_PLACE and 0 <= count < _MOST_PLACE


def check_text(function: str, arguments: Sequence[Expression]) -> None:
    """Check that what must be a constant is one, and a pattern one of steps. Raises: PlanError."""
    if function == "matches":
        pattern_steps(_text(arguments[1]))
    fixed = [a for i, a in enumerate(arguments) if i in _FIXED.get(function, ())]
    if not all(is_fixed(a) for a in fixed):
        raise PlanError(
            f"{function} takes constants in oblivious mode, but for its text", hint=_ENCRYPTED
        )
    texts = [_text(a) for a in fixed]
    if function in _PADS:
        most = _MOST_PADDED if is_fixed(arguments[2]) else _MOST_REPEATED
        if int(texts[0]) > most:
            raise PlanError(f"oblivious mode fills texts up to {most} characters", hint=_ENCRYPTED)
    if function in _CHARACTERS and any(len(t) > _MOST_CHARACTERS for t in texts):
        raise PlanError(
            f"{function} takes at most {_MOST_CHARACTERS} characters in oblivious mode",
            hint=_ENCRYPTED,
        )
    if function == "split_part" and not int(texts[1]):
        raise PlanError("parts of a text count from 1, or from -1 at its end", hint=_ENCRYPTED)


def is_public_replacement(arguments: Sequence[Expression]) -> bool:
    """Whether what is replaced, and by what, are constants."""
    return all(is_fixed(a) for a in arguments[1:3])


def check_replaced(text_bytes: int, arguments: Sequence[Expression]) -> None:
    """Check how long a text is in which something is replaced. Raises: PlanError."""
    if not is_public_replacement(arguments) and text_bytes > MOST_SEARCHED:
        raise PlanError(
            f"oblivious mode replaces what is no constant in texts of at most {MOST_SEARCHED} "
            f"bytes, not {text_bytes:,}",
            hint="let the owner upload the table with a smaller --width for it",
        )


def _replaced_width(parts: Sequence[int], arguments: Sequence[Expression]) -> int:
    if is_public_replacement(arguments):
        old, new = (len(_text(a).encode()) for a in arguments[1:3])
        return replaced_bytes(parts[0], old, new)
    # Every byte could be replaced; and a piece is put to what there is before that is cut.
    return parts[0] * max(1, parts[2]) + max(parts[0], parts[2])


def translated_growth(old: str = "", new: str = "") -> int:
    """How many bytes come of one at most, where characters become those at the same places."""
    pairs = zip(old, new, strict=False)
    return max([1, *(-(-len(by.encode()) // len(c.encode())) for c, by in pairs)])


def _padded_width(parts: Sequence[int], arguments: Sequence[Expression]) -> int:
    """What is filled, and as much filling as there is room for."""
    length = max(1, int(_text(arguments[1]) or 0))
    most = CHARACTER_BYTES * length
    if is_fixed(arguments[2]):
        fill = len((_text(arguments[2]) * length)[:length].encode())
        return min(parts[0], most) + fill
    return min(parts[0], most) + min(most, length * max(1, parts[2]))


def width_of_text(function: str, parts: Sequence[int], arguments: Sequence[Expression]) -> int:
    """The most bytes that a function of texts gives; `parts` are those of its arguments."""
    width = _WIDTHS.get(function)
    return _NAME_BYTES if width is None else width(parts, arguments)


def _text(argument: Expression) -> str:
    return argument.text or "" if isinstance(argument, Literal) else ""


_WIDTHS: Final[Mapping[str, Callable[[Sequence[int], Sequence[Expression]], int]]] = {
    "concat_with": lambda parts, _: sum(parts[1:]) + parts[0] * max(0, len(parts) - 2),
    "replace": _replaced_width,
    "repeat": lambda parts, a: max(1, parts[0] * int(_text(a[1]) or 0)),
    **dict.fromkeys(_PADS, _padded_width),
    "translate": lambda parts, a: parts[0] * translated_growth(*map(_text, a[1:])),
    **dict.fromkeys(
        ("reverse", "split_part", "substring_index", "substring"), lambda parts, _: parts[0]
    ),
    **dict.fromkeys(("lower", "upper", "capitalize"), lambda parts, _: cased_bytes(parts[0])),
    "format_number": lambda _, a: grouped_bytes(int(_text(a[1]) or 0)),
    "format_moment": lambda _, a: pattern_bytes(_text(a[1])),
}
"""By function, but for names of days and months."""
