"""Functions of lists, exact for every type of element: NaN equals NaN, and -0.0 equals 0.0."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import date, timedelta
from math import isnan
from typing import Any, Final

from mc2.engine.routines import RANGE, Routine
from mc2.engine.routines_rows import row_by_row, type_name
from mc2.formats.schema import DataType

_LONGEST_SEQUENCE: Final = 100_000
_List = list[Any]


def identity(value: Any) -> Hashable:
    """What equal values have in common."""
    match value:
        case float():
            return "NaN" if isnan(value) else value + 0.0
        case list():
            return tuple(map(identity, value))
        case dict():
            return tuple(identity(v) for v in value.values())
        case _:
            return (type(value).__name__, value)  # true is not 1


def ranked(value: Any) -> tuple[Any, ...]:
    """What orders values, and parts of values: NULL first, and NaN last."""
    match value:
        case None:
            return (0,)
        case float():
            return (2, 0.0) if isnan(value) else (1, value)
        case list():
            return (1, [ranked(v) for v in value])
        case dict():
            return (1, [ranked(v) for v in value.values()])
        case _:
            return (1, value)


def _distinct(values: Iterable[Any]) -> _List:
    found: dict[Hashable, Any] = {}
    for value in values:
        found.setdefault(identity(value), value)
    return list(found.values())


def _keys(values: Sequence[Any]) -> set[Hashable]:
    return set(map(identity, values))


def _overlap(one: _List, other: _List) -> bool | None:
    a = _keys([v for v in one if v is not None])
    if a & _keys([v for v in other if v is not None]):
        return True
    return None if one and other and (None in one or None in other) else False


def _contains(values: _List, wanted: Any) -> bool | None:
    if identity(wanted) in _keys(values):
        return True
    return None if any(v is None for v in values) else False


def _position(values: _List, wanted: Any) -> int:
    keys = list(map(identity, values))
    return keys.index(identity(wanted)) + 1 if identity(wanted) in keys else 0


def _remove(values: _List, unwanted: Any) -> _List:
    return [v for v in values if v is None or identity(v) != identity(unwanted)]


def _slice(values: _List, start: int, length: int) -> _List:
    if not start or length < 0:
        raise ValueError(RANGE)
    first = start - 1 if start > 0 else len(values) + start
    return values[first : first + length] if 0 <= first < len(values) else []


def _repeat(value: Any, count: int | None) -> _List | None:
    if count is None:
        return None
    if count > _LONGEST_SEQUENCE:
        raise ValueError(RANGE)
    return [value] * count


def _flatten(values: Sequence[_List | None]) -> _List | None:
    if any(v is None for v in values):
        return None
    return [e for v in values if v is not None for e in v]


def _join(values: Sequence[str | None], mark: str, absent: str | None = None) -> str:
    shown = [absent if v is None else v for v in values]
    return mark.join(v for v in shown if v is not None)


def _sequence(first: Any, last: Any, step: int) -> _List:
    start, end = (v.toordinal() if isinstance(v, date) else v for v in (first, last))
    if (not step and start != end) or (step and (end - start) * step < 0):
        raise ValueError(RANGE)
    many = (end - start) // step + 1 if step else 1
    if many > _LONGEST_SEQUENCE:
        raise ValueError(RANGE)
    if isinstance(first, date):
        return [first + timedelta(days=step * i) for i in range(many)]
    return [first + step * i for i in range(many)]


_COMPUTE: Final[dict[str, Callable[..., Any]]] = {
    "list_contains": _contains,
    "list_position": _position,
    "list_distinct": _distinct,
    "list_union": lambda a, b: _distinct([*a, *b]),
    "list_intersect": lambda a, b: [v for v in _distinct(a) if identity(v) in _keys(b)],
    "list_except": lambda a, b: [v for v in _distinct(a) if identity(v) not in _keys(b)],
    "list_overlap": _overlap,
    "list_remove": _remove,
    "list_slice": _slice,
    "list_repeat": _repeat,
    "list_join": _join,
    "flatten": _flatten,
    "sequence": _sequence,
}
LIST_ROUTINES: Final = tuple(_COMPUTE)
"""The functions that are here."""


def list_routine(name: str, kinds: tuple[DataType, ...], result: DataType) -> Routine:
    """A function of lists for arguments of given types."""
    types = "_".join(map(type_name, kinds))
    strict = name != "list_repeat"
    return row_by_row(f"{name}_{types}", kinds, result, _COMPUTE[name], strict=strict)
