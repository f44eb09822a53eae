"""Functions of text and bytes that DuckDB lacks, or means otherwise."""

from __future__ import annotations

import codecs
import hashlib
import zlib
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.engine.routines import TEXT, Routine
from mc2.engine.routines_rows import row_by_row, type_name
from mc2.formats.schema import DataType
from mc2.plan.functions_texts import CHARSETS

for _name in CHARSETS.values():
    codecs.lookup(_name)  # a confined worker could not load them later

_CONTEXT: Final = Context(prec=700, Emax=2000, Emin=-2000)
_SOUNDEX: Final = dict(zip("BFPVCGJKQSXZDTLMNR", "111122222222334556", strict=True))


def _capitalize(text: str) -> str:
    return " ".join(_simple(w[:1], str.title) + _simple(w[1:], str.lower) for w in text.split(" "))


def _simple(text: str, change: Callable[[str], str]) -> str:
    """Case mapping by code point: what would become several stays."""
    return "".join(m if len(m := change(c)) == 1 else c for c in text)


def _substring_index(text: str, mark: str, count: int) -> str:
    if not mark or not count:
        return ""
    at = -1 if count > 0 else len(text)
    for _ in range(min(abs(count), len(text) + 1)):
        at = text.find(mark, at + 1) if count > 0 else text.rfind(mark, 0, at + len(mark) - 1)
        if at < 0:
            return text
    return text[:at] if count > 0 else text[at + len(mark) :]


def _levenshtein(a: str, b: str) -> int:
    if len(a) < len(b):
        a, b = b, a
    before = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
        before = row
    return before[-1]


def _soundex(text: str) -> str:
    letters = text.encode().upper().decode("latin-1")  # those of ASCII alone, as in Spark
    first = letters[:1]
    if not "A" <= first <= "Z":
        return text
    code, last = first, _SOUNDEX.get(first, "0")
    for letter in letters[1:]:
        if letter in "HW":
            continue
        digit = _SOUNDEX.get(letter, "0")
        if digit not in {"0", last}:
            code += digit
            if len(code) == 4:  # a Soundex code has four characters
                break
        last = digit
    return code.ljust(4, "0")


def _find_in_set(text: str, listed: str) -> int:
    parts = listed.split(",")
    return 0 if "," in text or text not in parts else parts.index(text) + 1


def _reverse(texts: pa.Array) -> pa.Array:
    return pc.utf8_reverse(texts)


TEXTS: Final = {
    "reverse": Routine("mc2_reverse", ("VARCHAR",), "VARCHAR", _reverse),
    "capitalize": row_by_row("capitalize", "string", "string", _capitalize),
    "substring_index": row_by_row(
        "substring_index", "string string int32", "string", _substring_index
    ),
    "levenshtein": row_by_row("levenshtein", "string string", "int32", _levenshtein),
    "soundex": row_by_row("soundex", "string", "string", _soundex),
    "find_in_set": row_by_row("find_in_set", "string string", "int32", _find_in_set),
    "crc32": row_by_row("crc32", "binary", "int64", zlib.crc32),
}
"""Functions whose arguments have one sequence of types."""


def sha2(bits: str) -> Routine:
    """SHA-2 of so many bits."""
    name = f"sha{bits}"
    return row_by_row(name, "binary", "string", lambda b: hashlib.new(name, b).hexdigest())


def encode(charset: str) -> Routine:
    """Text to bytes in a character set."""

    def run(text: str) -> bytes:
        try:
            return text.encode(CHARSETS[charset])
        except UnicodeError:
            raise ValueError(TEXT) from None

    return row_by_row(f"encode_{CHARSETS[charset].replace('-', '_')}", "string", "binary", run)


def decode(charset: str) -> Routine:
    """Bytes in a character set to text."""

    def run(data: bytes) -> str:
        try:
            return data.decode(CHARSETS[charset])
        except UnicodeError:
            raise ValueError(TEXT) from None

    return row_by_row(f"decode_{CHARSETS[charset].replace('-', '_')}", "binary", "string", run)


def format_number(kind: DataType, digits: int) -> Routine:
    """A number with commas and so many fraction digits."""

    def run(value: float | Decimal) -> str:
        exact = value if isinstance(value, Decimal) else Decimal(repr(value))
        if exact.is_nan():
            return "NaN"
        if exact.is_infinite():
            return "∞" if exact > 0 else "-∞"
        rounded = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN, _CONTEXT)
        return f"{rounded:,f}"

    return row_by_row(f"format_number_{type_name(kind)}_{digits}", (kind,), "string", run)
