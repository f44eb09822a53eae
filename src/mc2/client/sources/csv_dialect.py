"""How a CSV file is written. Spec: docs/spec/schema.md, section "CSV"."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Final

from mc2.errors import UsageError

DECIMALS: Final = ("exact", "double")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvDialect:
    """How a CSV file is written.

    `nulls`: fields that mean NULL when they stand without quotes; with `quoted_nulls`, in quotes
    too. `names`: the columns of a file without a header. `decimals`: whether numbers with a
    point become exact decimals or doubles, where their column is not declared.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    quoted_nulls: bool = False
    decimals: str = "exact"

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or len(self.quote) != 1 or self.delimiter == self.quote:
            raise UsageError("a CSV file has one character that separates and another that quotes")
        if self.decimals not in DECIMALS:
            raise UsageError(f"decimals are one of {', '.join(DECIMALS)}")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise UsageError(f"there is no encoding {self.encoding!r}") from None
