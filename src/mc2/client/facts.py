"""Holds a table to what its owner declares of it, while it is sealed."""

from __future__ import annotations

from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import DatasetError, UsageError
from mc2.formats.facts import TableFacts
from mc2.formats.schema import Schema

_HINT: Final = "declare what is true of all rows: others rely on it"


class FactsCheck:
    """Sees the batches of one table one after the other, and keeps the columns of its keys."""

    def __init__(self, table: str, facts: TableFacts, schema: Schema) -> None:
        self._table = table
        self._facts = facts
        self._types = {c.name: c.type for c in schema.columns}
        self._keys: list[list[pa.RecordBatch]] = [[] for _ in facts.unique]
        self._last: dict[str, pa.Array] = {}  # of ascending columns the last value so far

    def see(self, batch: pa.RecordBatch) -> None:
        """Check a batch. Raises: DatasetError naming the column, never the value."""
        for name, (low, high) in self._facts.ranges.items():
            kind = pa.int32() if self._types[name].name == "date" else batch.column(name).type
            found = pc.min_max(batch.column(name).cast(kind)).as_py()
            self._refuse_unless(
                found["min"] is None or low <= found["min"] <= found["max"] <= high,
                f"column {name!r} has a value outside of its declared range",
            )
        for name, values in self._facts.domains.items():
            column = batch.column(name)
            known = pc.is_in(column.drop_null(), value_set=pa.array(values, column.type))
            self._refuse_unless(
                pc.all(known).as_py() is not False,
                f"column {name!r} has a value outside of its declared domain",
            )
        for name in self._facts.ascending:
            self._see_ascending(name, batch.column(name))
        for key, parts in zip(self._facts.unique, self._keys, strict=True):
            parts.append(batch.select(list(key)))

    def _see_ascending(self, name: str, column: pa.Array) -> None:
        every = pa.concat_arrays([self._last.get(name, column[:0]), column])
        ascends = pc.all(pc.less_equal(every[:-1], every[1:])).as_py() is not False
        self._refuse_unless(
            column.null_count == 0 and ascends,
            f"column {name!r} has a NULL or a value below the one before it, and is declared "
            "ascending",
        )
        self._last[name] = every[-1:]

    def done(self) -> None:
        """Check the keys of all rows. Raises: DatasetError."""
        for key, parts in zip(self._facts.unique, self._keys, strict=True):
            if not parts:
                continue
            rows = pa.Table.from_batches(parts)
            groups = rows.group_by(list(key)).aggregate([])
            self._refuse_unless(
                groups.num_rows == rows.num_rows,
                f"two rows agree in {', '.join(key)}, which is declared unique",
            )

    def _refuse_unless(self, holds: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not holds:
            raise DatasetError(f"{self._table}: {what}", hint=_HINT)


def read_ranges(texts: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Ranges as people write them: `age=0..130` or `day=2020-01-01..2020-12-31`.

    Raises: UsageError.
    """
    found = {}
    for text in texts:
        name, _, ends = text.rpartition("=")
        low, dots, high = ends.partition("..")
        ends_read = _ends(low, high) if name and dots else None
        if ends_read is None:
            raise UsageError(f"{text!r} is no range", hint="write --range age=0..130")
        found[name] = ends_read
    return found


def _ends(low: str, high: str) -> tuple[int, int] | None:
    try:
        return _end(low), _end(high)
    except ValueError:
        return None


def _end(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return (date.fromisoformat(text) - date(1970, 1, 1)).days


def read_domains(texts: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Domains as people write them: `ward=A,B,C`. Raises: UsageError."""
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        if not name or not values:
            raise UsageError(f"{text!r} is no domain", hint="write --domain ward=A,B,C")
        found[name] = tuple(values.split(","))
    return found


def read_keys(texts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Unique keys as people write them: `patient` or `patient,day`."""
    return tuple(tuple(part.strip() for part in text.split(",")) for text in texts)
