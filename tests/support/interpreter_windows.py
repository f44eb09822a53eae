"""Window functions of the slow twin: sorts each partition, and looks at one row after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mc2.plan.expressions import Literal
from mc2.plan.literals import literal_value
from mc2.plan.windows import AGGREGATES, Bound, Window, WindowColumn

Row = tuple[Any, ...]
Value = Callable[[Any, Row], Any]
Aggregate = Callable[[WindowColumn, Sequence[Row]], Any]


class Partition:
    """The rows of one partition in their whole order; `equal` says which share their place."""

    def __init__(
        self, rows: Sequence[Row], equal: Callable[[Row, Row], bool], value: Value
    ) -> None:
        self.rows = list(rows)
        self.value = value
        self.peers: list[int] = []  # the number of each row's group of equals
        for place, row in enumerate(self.rows):
            if not place:
                self.peers.append(0)
            else:
                self.peers.append(self.peers[-1] + (not equal(self.rows[place - 1], row)))

    def column(self, column: WindowColumn, place: int, aggregate: Aggregate) -> Any:
        """The value of a function for the row at a place."""
        if column.function in AGGREGATES:
            return aggregate(column, [self.rows[i] for i in self.frame(column, place)])
        if column.function in {"lag", "lead"}:
            return self.neighbour(column, place)
        if column.frame is not None:
            return self.pick(column, place)
        return self.rank(column, place)

    def rank(self, column: WindowColumn, place: int) -> Any:
        peers, count = self.peers, len(self.rows)
        first = peers.index(peers[place])
        last = max(i for i, p in enumerate(peers) if p == peers[place])
        match column.function:
            case "row_number":
                return place + 1
            case "rank":
                return first + 1
            case "dense_rank":
                return peers[place] + 1
            case "percent_rank":
                return first / (count - 1) if count > 1 else 0.0
            case "cume_dist":
                return (last + 1) / count
            case "ntile":
                parts = constant(column, 0)
                size, larger = divmod(count, parts)
                if place < larger * (size + 1):
                    return place // (size + 1) + 1
                return larger + (place - larger * (size + 1)) // size + 1
        raise AssertionError(column.function)

    def neighbour(self, column: WindowColumn, place: int) -> Any:
        distance = constant(column, 1)
        step = -1 if column.function == "lag" else 1
        if not column.ignore_nulls or not distance:
            wanted = place + step * distance
        else:
            wanted = place
            while distance and 0 <= wanted < len(self.rows):
                wanted += step
                if 0 <= wanted < len(self.rows) and self.argument(column, wanted) is not None:
                    distance -= 1
        if 0 <= wanted < len(self.rows):
            return self.argument(column, wanted)
        return self.value(column.arguments[2], self.rows[place])

    def pick(self, column: WindowColumn, place: int) -> Any:
        values = [self.argument(column, i) for i in self.frame(column, place)]
        if column.ignore_nulls:
            values = [v for v in values if v is not None]
        at = {"first_value": 0, "last_value": -1}.get(column.function)
        if at is None:
            at = constant(column, 1) - 1
            return values[at] if at < len(values) else None
        return values[at] if values else None

    def argument(self, column: WindowColumn, place: int) -> Any:
        return self.value(column.arguments[0], self.rows[place])

    def frame(self, column: WindowColumn, place: int) -> range:
        frame = column.frame
        assert frame is not None
        by_rows = frame.unit == "rows"
        return range(
            max(self.bound(frame.start, place, by_rows=by_rows, start=True), 0),
            min(self.bound(frame.end, place, by_rows=by_rows, start=False), len(self.rows) - 1) + 1,
        )

    def bound(self, bound: Bound, place: int, *, by_rows: bool, start: bool) -> int:
        if bound.at == "unbounded_preceding":
            return 0
        if bound.at == "unbounded_following":
            return len(self.rows) - 1
        if bound.offset is not None:
            assert by_rows, "the twin knows no ranges with a distance"
            offset = int(bound.offset.text or "0")
            return place - offset if bound.at == "preceding" else place + offset
        if by_rows:
            return place
        mine = [i for i, p in enumerate(self.peers) if p == self.peers[place]]
        return mine[0] if start else mine[-1]


def constant(column: WindowColumn, place: int) -> int:
    fixed = column.arguments[place]
    assert isinstance(fixed, Literal)
    found = literal_value(fixed.text or "0", fixed.type)
    assert isinstance(found, int)
    return found


def partitions(
    operation: Window, rows: Sequence[Row], key: Callable[[Row], tuple[Any, ...]]
) -> list[list[Row]]:
    """The rows by their keys."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    assert operation.keys or len(found) <= 1
    return list(found.values())
