"""What several tasks compute of rows that they sort together, and when: by public facts alone.

Spec: docs/spec/task.md, section "Sorting over several tasks".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mc2.plan.expressions import ColumnRef
from mc2.plan.matching import Equality
from mc2.plan.oblivious_deals import places_for
from mc2.plan.oblivious_joins import JoinForm
from mc2.plan.relations import Join, Mark
from mc2.plan.stages import Layout

SORTED_APART: Final = 16
"""How many times the rows that one task reads alone there must be to be sorted over several."""

PAIR: Final = "\0pair"  # no column of a plan starts so
RANK: Final = "\0rank"
"""Columns of rows that are paired by number: which partner a place has, and which one a row is."""

PAIR_PLACES: Final = 2
"""How many places a task tells of its rows, of which pairs are numbered."""

_TWO: Final = 2
_ASKS: Final = frozenset({"semi", "anti"})


def worth_sorting(layout: Layout, rows: int, room: int) -> bool:
    """Whether rows are sorted over the tasks, each with `room` for its own at most.

    Not few ones, nor over two tasks, of which each would hold all rows as it compares; and not
    where tasks would sort twice as many places as there are rows, since some have much more room
    than others, or rows are too few for so many tasks.
    """
    tasks = layout.partitions
    if tasks <= _TWO or rows <= SORTED_APART * layout.broadcast_rows:
        return False
    return tasks * places_for(tasks, room) <= 2 * rows


def carried_side(operation: Join | Mark, form: JoinForm) -> int | None:
    """The side, 0 left and 1 right, of which one row is all that others of the same keys need.

    None if there is no such side: then no one row stands for those in earlier tasks.
    """
    if not form.equalities or form.unsure is not None:
        return None
    if isinstance(operation, Mark) or operation.how in _ASKS:
        return 1 if form.rest is None or form.to_one else None
    if form.to_one and operation.how in {"inner", "left"}:
        return 1
    return 0 if form.of_one and operation.how == "inner" else None


def makes_pairs(operation: Join | Mark, form: JoinForm) -> bool:
    """Whether it is a join of many rows with many, of which tasks can number the pairs.

    With a further condition no bound above counts its pairs: a whole side is sent then.
    """
    inner = isinstance(operation, Join) and operation.how == "inner"
    many = not (form.to_one or form.of_one)
    return inner and many and bool(form.equalities) and form.whole is None


def numbered_pairs(form: JoinForm) -> JoinForm:
    """The form of a join whose pairs are numbered: each place has one partner, of its number."""
    number = Equality(ColumnRef(PAIR), ColumnRef(RANK), nulls=False)
    return replace(form, equalities=(*form.equalities, number), to_one=True, compared=None)


def as_left(operation: Join) -> Join:
    """A `right` join as the `left` join that it is, with its sides changed."""
    return replace(operation, left=operation.right, right=operation.left, how="left")


def full_parts(operation: Join, form: JoinForm, rows: Sequence[int]) -> tuple[Join, Join]:
    """A `full` join in two parts: one side's rows with partners, and the other's without any.

    `rows`: how many each side has at most. The first part keeps the side each of whose rows has one
    partner; of two that are alike the larger one.
    """
    turned = form.of_one if form.of_one != form.to_one else rows[0] < rows[1]
    near, far = operation.sources[::-1] if turned else operation.sources
    kept = replace(operation, left=near, right=far, how="left")
    return kept, replace(operation, left=far, right=near, how="anti")
