"""tail: the last rows of a DataFrame in its order, which are the first ones the other way round.

Rows that the order leaves open come in the order of all columns, as for `limit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mc2.errors import PlanError
from mc2.planner.connect.expressions import Expressions
from mc2.planner.connect.frame import Frame, quoted
from mc2.planner.connect.message import Message, unsupported
from mc2.planner.connect.scope import OneFrame
from mc2.planner.connect.translator import Translate, Translator

_MOST_ROWS: Final = 10**12
_ORDERED: Final = ("sort", "limit", "offset", "tail")
_KEEP_ORDER: Final = (
    "project", "with_columns", "with_columns_renamed", "drop", "to_df", "filter", "hint",
    "subquery_alias", "fill_na", "drop_na", "replace",
)  # fmt: skip


def _tail(self: Translator, message: Message) -> Frame:
    relation = message.take("input")
    count = message.integer("limit", 0)
    if not 0 <= count <= _MOST_ROWS:
        raise PlanError(f"tail takes 0 to {_MOST_ROWS} rows")
    frame = self.frame(relation)
    keys = _keys(relation)
    scope = Expressions(OneFrame(frame))
    every = [quoted(c.inner) for c in frame.visible]
    forward = [scope.sort_order(k) for k in keys] + [f"{n} ASC NULLS FIRST" for n in every]
    back = [scope.sort_order(_turned(k)) for k in keys] + [f"{n} DESC NULLS LAST" for n in every]
    turned = self.program.step(f"SELECT * FROM {frame.sql} ORDER BY {', '.join(back)}", frame)
    last = self.program.limit(turned, count, 0)
    return self.program.step(f"SELECT * FROM {last.sql} ORDER BY {', '.join(forward)}", last)


def _keys(relation: Any) -> list[Mapping[str, Any]]:
    """The keys of the `orderBy` that a DataFrame ends with; none if it has no order.

    Raises: PlanError if its order was made further down, where it cannot be turned round.
    """
    outermost = True
    while isinstance(relation, Mapping):
        kind = next((k for k in relation if k != "common"), "")
        inner = relation[kind] if kind else {}
        if kind == "sort" and outermost:
            return list(inner.get("order", ()))
        if kind in _ORDERED:
            raise unsupported(
                f"tail of {kind} and further steps" if kind == "sort" else f"tail after {kind}",
                "let orderBy be the last step before tail",
            )
        if kind not in _KEEP_ORDER:
            return []
        outermost, relation = False, inner.get("input")
    return []


def _turned(key: Mapping[str, Any]) -> dict[str, Any]:
    """A key of a sort, the other way round."""
    down = str(key.get("direction", "")).endswith("DESCENDING")
    nulls = str(key.get("null_ordering", ""))
    first = nulls.endswith("FIRST") if nulls and not nulls.endswith("UNSPECIFIED") else not down
    return {
        **key,
        "direction": "SORT_DIRECTION_ASCENDING" if down else "SORT_DIRECTION_DESCENDING",
        "null_ordering": "SORT_NULLS_LAST" if first else "SORT_NULLS_FIRST",
    }


KINDS: Final[Mapping[str, Translate]] = {"tail": _tail}
