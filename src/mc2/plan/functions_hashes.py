"""Hashes of several values of any types, chained: each begins where the one before ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.formats.schema import DataType
from mc2.plan.signatures import Arguments, Nulls, Signature, define
from mc2.plan.types import INT32, INT64


@dataclass(frozen=True, slots=True)
class _AnySignature(Signature):
    """One value or more, each of its own type."""

    def match(self, arguments: Arguments) -> DataType | None:
        kind = self.result
        if not arguments or callable(kind):
            return None
        return DataType(kind)


def _of_all(kind: DataType) -> Signature:
    return _AnySignature(f"T, U... -> {kind}", (), 0, {}, str(kind))


HASHES: Final = (
    define("murmur3", _of_all(INT32), "MurmurHash3 of all, from 42 on, as in Spark's `hash`",
           Nulls.NEVER),
    define("xxhash64", _of_all(INT64), "XXH64 of all, from 42 on, as in Spark's `xxhash64`",
           Nulls.NEVER),
)  # fmt: skip
"""Hashes by which Spark spreads rows."""
