"""Finds the type of text columns, from every value and not from a sample.

A type is taken only if every value has its plain spelling, so that reading it back loses
nothing: `007` stays a string, and so does a number with more digits than a type holds.
Spec: docs/spec/schema.md, section "Inference".
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.client.sources.text import GRAMMAR, read_plain, read_spelled
from mc2.formats.schema import DECIMAL_DIGITS, DataType, decimal

_WHOLE: Final = r"(?:0|-?[1-9][0-9]*)"  # -0 is none: only a double keeps that sign
_EXPONENT: Final = r"(?:[eE][+-]?[0-9]+)?"
_PLAIN: Final = {
    "boolean": r"^(?:true|false|True|False|TRUE|FALSE)$",
    "int64": rf"^{_WHOLE}$",
    "decimal": rf"^(?:{_WHOLE}(?:\.[0-9]+)?|-0\.[0-9]*[1-9][0-9]*)$",
    "double": rf"^(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?{_EXPONENT}|-?\.[0-9]+{_EXPONENT}"
    r"|-?inf|-?Infinity|nan|NaN)$",
    "date": GRAMMAR["date"],
    "timestamp": GRAMMAR["timestamp"].removesuffix("?$") + "$",  # a date alone is a date
    "timestamp_utc": GRAMMAR["timestamp_utc"],
    "binary": GRAMMAR["binary"],
}
_NUMBERS: Final = ("int64", "decimal", "double")
"""A column that outgrows one of these is tried as the next; all others become strings."""

_DOUBLE_DIGITS: Final = 17  # a double has at most so many significant digits to tell
_SHORT_DECIMAL: Final = 18  # so many digits fit in 64 bits


class Inference:
    """The type of one column, as far as it has been read."""

    def __init__(self, *, exact_decimals: bool) -> None:
        self._numbers = _NUMBERS if exact_decimals else ("int64", "double")
        self._name = ""  # nothing but NULL so far
        self._before = 0  # most digits before the point, after it, and without leading zeros
        self._after = 0
        self._significant = 0

    def feed(self, texts: pa.StringArray) -> None:
        """Take the next values into account."""
        if texts.null_count == len(texts):
            return
        if not self._name:
            self._name = self._first_guess(texts)
        if self._holds_plainly(texts):
            return
        if self._name in self._numbers:
            self._count_digits(texts)
        while self._name != "string" and not self._holds(texts):
            self._name = self._next()

    def result(self) -> DataType:
        """The type that holds every value; a column of nothing but NULL is a string.

        Decimals get 18 digits, or 38 where that is too few: the exact number of digits would
        tell something of the data, and would change with the next version of the table.
        """
        if self._name == "decimal":
            short = self._before + self._after <= _SHORT_DECIMAL
            return decimal(_SHORT_DECIMAL if short else DECIMAL_DIGITS, self._after)
        return DataType(self._name or "string")

    def _holds_plainly(self, texts: pa.StringArray) -> bool:
        """Whether all are dates, or whole numbers, in their one spelling: what is quick to see."""
        if self._name not in {"date", "int64"}:
            return False
        values = read_plain(texts, DataType(self._name))
        if values is None:
            return False
        if self._name == "int64":
            ends = pc.min_max(values).as_py().values()
            digits = max(len(str(abs(end))) for end in ends)
            self._before = max(self._before, digits)
            self._significant = max(self._significant, digits)
        return True

    def _first_guess(self, texts: pa.StringArray) -> str:
        first = texts.drop_null()[:1]
        for name, plain in _PLAIN.items():
            allowed = name not in _NUMBERS or name in self._numbers
            if allowed and pc.all(pc.match_substring_regex(first, plain)).as_py():
                return name
        return "string"

    def _next(self) -> str:
        if self._name not in self._numbers[:-1]:
            return "string"
        return self._numbers[self._numbers.index(self._name) + 1]

    def _count_digits(self, texts: pa.StringArray) -> None:
        exponent = pc.or_(pc.match_substring(texts, "e"), pc.match_substring(texts, "E"))
        if pc.any(exponent).as_py():  # mostly a few: cut off the exponent of those alone
            cut = pc.replace_substring_regex(texts.filter(exponent), r"[eE].*$", "")
            texts = pa.concat_arrays([texts.filter(pc.invert(exponent)), cut])
        sign = pc.starts_with(texts, "-").cast(pa.int32())
        length = pc.subtract(pc.binary_length(texts), sign)
        point = pc.find_substring(texts, ".")
        whole = pc.equal(point, -1)
        before = pc.if_else(whole, length, pc.subtract(point, sign))
        after = pc.if_else(whole, 0, pc.subtract(pc.subtract(length, before), 1))
        most_before, most_after = pc.max(before).as_py(), pc.max(after).as_py()
        significant = most_before + most_after
        if significant > _DOUBLE_DIGITS:  # perhaps less without leading zeros
            digits = pc.ascii_ltrim(texts, "-0.")
            point = pc.not_equal(pc.find_substring(digits, "."), -1).cast(pa.int32())
            significant = pc.max(pc.subtract(pc.binary_length(digits), point)).as_py()
        self._before = max(self._before, most_before)
        self._after = max(self._after, most_after)
        self._significant = max(self._significant, significant)

    def _holds(self, texts: pa.StringArray) -> bool:
        """Whether the present type takes these values whole, and all before them."""
        if not pc.all(pc.match_substring_regex(texts, _PLAIN[self._name])).as_py():
            return False
        if self._name == "decimal":
            return self._before + self._after <= DECIMAL_DIGITS
        if self._name == "double" and self._significant > _DOUBLE_DIGITS:
            return False
        return read_spelled(texts, DataType(self._name)) is not None
