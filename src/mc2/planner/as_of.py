"""ASOF JOIN: with each row the latest row of another table, of the same keys, up to its own time.

It becomes what a plan has already: both tables one after the other, a window that carries the
latest time of the right side forward, and a look-up by that time. Two right rows of the same keys
and time fail the job, where DuckDB takes one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mc2.errors import PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Call, ColumnRef, Expression, columns_of, literal
from mc2.plan.matching import conjuncts, match
from mc2.plan.relations import Filter, Join, NamedExpression, Project, SortKey, Union
from mc2.plan.types import INT8
from mc2.plan.windows import SO_FAR, Window, WindowColumn

REFUSED: Final = "ASOF JOIN takes equations of columns and one comparison of both tables"
HINT: Final = "write ON a.key = b.key AND a.time >= b.time"
_TURNED: Final = {"ge": "le", "gt": "lt", "le": "ge", "lt": "gt"}
_KEY: Final = "as of: key"
_TIME: Final = "as of: time"
_OTHER: Final = "as of: other time"
_SIDE: Final = "as of: side"
_FOUND: Final = "as of: found"


def as_of(builder: PlanBuilder, left: int, right: int, on: Expression, *, outer: bool) -> int:
    """The left rows with their latest right ones; with `outer` also those that have none.

    Raises: PlanError if the condition is none that `is_as_of` takes.
    """
    sides = [builder.schema(node).names for node in (left, right)]
    found = match(on, *sides)
    comparison = _comparison(conjuncts(found.rest), *map(frozenset, sides))
    if comparison is None:
        raise PlanError(REFUSED, hint=HINT)
    function, times = comparison
    keys = [f"{_KEY} {place}" for place in range(len(found.equalities))]
    backward = function in {"ge", "gt"}
    # At one time, the right rows stand where the left ones see them, or behind.
    seen_first = function in {"ge", "le"}
    mine = [
        *_terms(keys, [e.left for e in found.equalities]),
        NamedExpression(_TIME, times[0]),
        NamedExpression(_SIDE, literal(int(seen_first), INT8)),
    ]
    theirs = [
        *_terms(keys, [e.right for e in found.equalities]),
        NamedExpression(_TIME, times[1]),
        NamedExpression(_SIDE, literal(int(not seen_first), INT8)),
    ]
    rights = builder.add(Project(right, (*theirs, *_refs(sides[1]))))
    kind = builder.schema(rights).by_name()[_TIME].type
    lefts = builder.add(
        Project(left, (*mine, NamedExpression(_OTHER, literal(None, kind)), *_refs(sides[0])))
    )
    own = builder.schema(left).by_name()
    nulls = (NamedExpression(n, literal(None, own[n].type)) for n in sides[0])
    names = [*keys, _TIME, _SIDE]
    events = builder.add(
        Project(rights, (*_refs(names), NamedExpression(_OTHER, ColumnRef(_TIME)), *nulls))
    )
    both = builder.add(Union((lefts, events)))
    order = tuple(
        SortKey(ColumnRef(n), descending=n == _TIME and not backward, nulls_first=True)
        for n in (_TIME, _SIDE)
    )
    latest = WindowColumn(_FOUND, "max" if backward else "min", (ColumnRef(_OTHER),), SO_FAR)
    window = builder.add(Window(both, tuple(keys), order, (latest,)))
    test: Expression = Call("eq", (ColumnRef(_SIDE), literal(int(seen_first), INT8)))
    if not outer:
        known = [Call("is_not_null", (ColumnRef(n),)) for n in (*keys, _FOUND)]
        test = Call("and", (test, *known))
    rows = builder.add(Filter(window, test))
    kept = builder.add(Project(rows, _refs([*keys, _FOUND, *sides[0]])))
    looked = [f"{n}, right" for n in (*keys, _TIME)]
    other = builder.add(
        Project(rights, (*_terms(looked, _columns([*keys, _TIME])), *_refs(sides[1])))
    )
    pairs = zip((*keys, _FOUND), looked, strict=True)
    equal = [Call("eq", (ColumnRef(a), ColumnRef(b))) for a, b in pairs]
    condition = equal[0] if len(equal) == 1 else Call("and", tuple(equal))
    joined = builder.add(Join(kept, other, "single", condition))
    return builder.add(Project(joined, _refs([*sides[0], *sides[1]])))


def is_as_of(on: Expression, left: frozenset[str], right: frozenset[str]) -> bool:
    """Whether a condition is equations of columns and one comparison of both sides."""
    found = match(on, left, right)
    comparison = _comparison(conjuncts(found.rest), left, right)
    return comparison is not None and not any(e.nulls for e in found.equalities)


def _comparison(
    parts: Sequence[Expression], left: frozenset[str], right: frozenset[str]
) -> tuple[str, tuple[Expression, Expression]] | None:
    """How a term of the left side compares with one of the right side."""
    if len(parts) == 1 and isinstance(parts[0], Call) and parts[0].function in _TURNED:
        function, (a, b) = parts[0].function, parts[0].arguments
        reads = columns_of(a), columns_of(b)
        if all(reads) and reads[0] <= left and reads[1] <= right:
            return function, (a, b)
        if all(reads) and reads[0] <= right and reads[1] <= left:
            return _TURNED[function], (b, a)
    return None


def _refs(names: Sequence[str]) -> tuple[NamedExpression, ...]:
    return tuple(NamedExpression(n, ColumnRef(n)) for n in names)


def _columns(names: Sequence[str]) -> list[Expression]:
    return [ColumnRef(n) for n in names]


def _terms(names: Sequence[str], terms: Sequence[Expression]) -> tuple[NamedExpression, ...]:
    return tuple(NamedExpression(n, e) for n, e in zip(names, terms, strict=True))
