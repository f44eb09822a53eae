"""Functions of bytes, hashes and likeness in oblivious mode: limits, and how wide answers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.plan.expressions import Expression, Literal

BYTES: Final = frozenset(
    {
        "hex", "unhex", "binary_digits", "base64", "unbase64", "encode", "decode", "md5", "sha1",
        "sha2", "crc32", "murmur3", "xxhash64", "code_point", "character", "find_in_set",
        "levenshtein", "soundex",
    }
)  # fmt: skip
NUMBER_DIGITS: Final = {"hex": 16, "binary_digits": 64}
"""The most digits of a whole number, by function."""
DIGEST_DIGITS: Final = {
    "md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128,
}  # fmt: skip
"""Hexadecimal digits of digests."""
SOUNDEX_BYTES: Final = 4
_CHARACTER_BYTES: Final = 2
_MOST_EDITED: Final = 1 << 16
"""The most bytes of two texts, multiplied, for edits between them: a step for each pair."""
_MOST_LISTED: Final = 1014
"""The most bytes of a text among others: two commas more are a text's most bytes."""
_SHORTER: Final = "cut them before: left(x, 64)"


def check_bytes(function: str, widths: Sequence[int]) -> None:
    """Check how long the texts are that a function compares. Raises: PlanError."""
    if function == "levenshtein" and widths[0] * widths[1] > _MOST_EDITED:
        raise PlanError(
            "oblivious mode counts edits between texts of which the greatest lengths, multiplied, "
            f"are at most {_MOST_EDITED:,} bytes, not {widths[0]:,} by {widths[1]:,}",
            hint=_SHORTER,
        )
    if function == "find_in_set" and max(widths) > _MOST_LISTED:
        raise PlanError(
            f"oblivious mode looks for texts of at most {_MOST_LISTED:,} bytes in lists of as many",
            hint=_SHORTER,
        )


def unhex_bytes(digits: int) -> int:
    """The most bytes of so many hexadecimal digits."""
    return max(1, (digits + 1) // 2)


def base64_bytes(size: int) -> int:
    """The most bytes of base64 of so many bytes."""
    return 4 * -(-size // 3)


def unbase64_bytes(size: int) -> int:
    """The most bytes of which base64 has so many."""
    return max(1, 3 * (size // 4))


def encoded_bytes(charset: str, size: int) -> int:
    """The most bytes of a text in a character set that has so many in UTF-8."""
    return 2 * size if charset.startswith("UTF-16") else size


def decoded_bytes(charset: str, size: int) -> int:
    """The most bytes in UTF-8 of a text that has so many in a character set."""
    if charset.startswith("UTF-16"):
        return max(1, 3 * (size // 2))
    return 2 * size if charset == "ISO-8859-1" else size


_SIZES: Final[Mapping[str, Callable[[int], int]]] = {
    "hex": lambda size: max(NUMBER_DIGITS["hex"], 2 * size),  # of a text, or a number
    "binary_digits": lambda _: NUMBER_DIGITS["binary_digits"],
    "unhex": unhex_bytes,
    "base64": base64_bytes,
    "unbase64": unbase64_bytes,
    "md5": lambda _: DIGEST_DIGITS["md5"],
    "sha1": lambda _: DIGEST_DIGITS["sha1"],
    "soundex": lambda size: max(SOUNDEX_BYTES, size),
    "character": lambda _: _CHARACTER_BYTES,
}
"""The most bytes that a function gives, by those of its argument."""


def width_of_bytes(function: str, parts: Sequence[int], arguments: Sequence[Expression]) -> int:
    """The most bytes that a function of these gives; `parts` are those of its arguments."""
    match function:
        case "encode":
            return encoded_bytes(_text(arguments[1]), parts[0])
        case "decode":
            return decoded_bytes(_text(arguments[1]), parts[0])
        case "sha2":
            return DIGEST_DIGITS[f"sha{_text(arguments[1])}"]
        case _:
            return _SIZES.get(function, int)(parts[0])


def _text(argument: Expression) -> str:
    return argument.text or "" if isinstance(argument, Literal) else ""
