"""Expressions of a plan over secret columns.

`counts` says where an error counts: rows that are there, and that CASE, AND, OR and COALESCE need.
Everything is computed for every row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from mc2.engine.oblivious.calls import literal_number, one_layout
from mc2.engine.oblivious.casts import cast_value
from mc2.engine.oblivious.functions import OF_VALUES
from mc2.engine.oblivious.functions_literal import OF_ARGUMENTS
from mc2.engine.oblivious.lambdas import LambdaCall, Places, compute_lambda
from mc2.engine.oblivious.lists import LIST_FUNCTIONS, ListCall, compute_list, makes_list
from mc2.errors import EngineError
from mc2.formats.schema import Column, DataType
from mc2.operators import comparisons, logic
from mc2.operators.constants import constant
from mc2.operators.elements import repeated
from mc2.operators.handles import (
    Marks,
    SecretColumn,
    SecretTable,
    known_of,
    layout_of,
    marks_of,
)
from mc2.operators.run import Run
from mc2.plan.expressions import (
    Call,
    Case,
    Cast,
    ColumnRef,
    Expression,
    InList,
    Lambda,
    Literal,
    Parameter,
    walk,
)
from mc2.plan.functions import Argument
from mc2.plan.oblivious_lists import LAMBDAS, OPEN, looked_at
from mc2.plan.typing import Inside, type_of
from mc2.plan.widths import literal_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """Computes expressions over the columns of a table."""

    run: Run
    columns: Mapping[str, SecretColumn]
    rows: int
    counts: Marks
    parameters: Mapping[str, SecretColumn] = field(default_factory=dict)

    @classmethod
    def over(cls, run: Run, table: SecretTable) -> Evaluator:
        """Over a table, whose rows that are there count."""
        return cls(run, table.columns, table.rows, marks_of(table.present))

    def where(self, counts: Marks) -> Evaluator:
        """The same, where errors count in fewer rows."""
        both = logic.conjunction(self.run, self.counts, counts)
        return replace(self, counts=both)

    def of(self, expression: Expression) -> SecretColumn:  # noqa: PLR0911 - one a case
        """The values of an expression. Raises: EngineError for what no checked plan holds."""
        match expression:
            case ColumnRef(name):
                return self.columns[name]
            case Literal():
                return self._literal(expression)
            case Cast(value, kind, strict):
                return cast_value(self.run, self.of(value), kind, self.counts, strict=strict)
            case Case():
                return self._case(expression)
            case InList(value, items):
                return self._in_list(self.of(value), items)
            case Call(function, arguments):
                return self._call(function, arguments, self.type(expression))
            case Parameter(name):
                return self.parameters[name]
            case Lambda():
                raise EngineError("a lambda stands where no function takes one")

    def type(self, expression: Expression) -> DataType:
        """The type of an expression."""
        columns = {n: Column(n, c.type) for n, c in self.columns.items()}
        given = {n: Argument(c.type, nullable=True) for n, c in self.parameters.items()}
        return type_of(expression, Inside(columns, given)).type

    def _body(self, one: Lambda, places: Places) -> SecretColumn:
        """What the body of a lambda gives, with what it reads of a row at each of its places."""
        parts = list(walk(one.body))
        read = {e.name for e in parts if isinstance(e, ColumnRef)}
        around = {e.name for e in parts if isinstance(e, Parameter)}
        counts = np.repeat(self.counts, places.count)
        inside = Evaluator(
            self.run,
            {n: repeated(c, places.count) for n, c in self.columns.items() if n in read},
            self.rows * places.count,
            logic.conjunction(self.run, counts, places.there),
            {
                **{n: repeated(c, places.count) for n, c in self.parameters.items() if n in around},
                **dict(zip(one.parameters, places.values, strict=False)),
            },
        )
        return inside.of(one.body)

    def _literal(self, value: Literal) -> SecretColumn:
        layout = layout_of(value.type, {"": literal_bytes(value)}, "")
        return constant(layout, literal_number(value), self.rows)

    def _case(self, case: Case) -> SecretColumn:
        """All branches, and of them the first whose condition is true."""
        left = np.ones(self.rows, dtype=np.uint8)  # rows that no branch has taken
        parts: list[tuple[Marks, SecretColumn]] = []
        for branch in case.branches:
            here = self.where(left)
            holds = logic.value_marks(self.run, here.of(branch.condition))
            takes = logic.conjunction(self.run, holds, left)
            parts.append((takes, self.where(takes).of(branch.value)))
            left = logic.conjunction(self.run, left, logic.complement(self.run, holds))
        found = self.where(left).of(case.otherwise)
        for takes, value in parts:
            found = logic.choose(self.run, takes, *one_layout(value, found))
        return found

    def _equality(self, function: str, arguments: Sequence[Expression]) -> SecretColumn:
        """Whether two terms are equal, or not; texts and constants are compared by codes."""
        first, *others = arguments
        found = self._equal_texts(self.of(first), others)
        if found is None:
            values = [self.of(a) for a in arguments]
            return OF_VALUES[function](self, values, values[0].type)
        return found if function == "eq" else logic.negation(self.run, found)

    def _equal_texts(self, value: SecretColumn, items: Sequence[Expression]) -> SecretColumn | None:
        """Whether a text is one of some constants; None where that is not what is asked."""
        texts = [literal_number(i) for i in items if isinstance(i, Literal)]
        found = [t for t in texts if isinstance(t, bytes)]
        if not value.layout.is_text or len(found) != len(items):
            return None
        return comparisons.equal_constant(self.run, value, *found)

    def _in_list(self, value: SecretColumn, items: Sequence[Literal]) -> SecretColumn:
        found = self._equal_texts(value, items)
        if found is not None:
            return found
        answers = [
            comparisons.equal(self.run, *one_layout(value, self._literal(item))) for item in items
        ]
        return self._folded(logic.either, answers)

    def _folded(
        self,
        step: Callable[[Run, SecretColumn, SecretColumn], SecretColumn],
        parts: Sequence[SecretColumn],
    ) -> SecretColumn:
        found = parts[0]
        for part in parts[1:]:
            found = step(self.run, *one_layout(found, part))
        return found

    def _call(self, function: str, arguments: Sequence[Expression], kind: DataType) -> SecretColumn:
        if function in {"and", "or"}:
            return self._logic(arguments, stops=function == "or")
        if function == "coalesce":
            return self._coalesce(arguments)
        if function in LAMBDAS or makes_list(function, kind):
            return self._of_lists(function, arguments, kind)
        if function in {"eq", "ne"}:
            return self._equality(function, arguments)
        if function in OF_ARGUMENTS:
            return OF_ARGUMENTS[function](self, arguments)
        if function not in OF_VALUES:
            raise EngineError(f"oblivious mode has no function {function}")
        return OF_VALUES[function](self, [self.of(a) for a in arguments], kind)

    def _of_lists(
        self,
        function: str,
        arguments: Sequence[Expression],
        kind: DataType,
        room: int | None = None,
    ) -> SecretColumn:
        """Of lists; `room`: how many elements of the answer are looked at, if that is known."""
        if function in LAMBDAS:
            array, *more = arguments
            lambda_call = LambdaCall(self.run, self.of(array), more, self.of, self._body)
            return compute_lambda(lambda_call, function)
        first, *others = arguments
        if isinstance(first, Call) and first.function in OPEN:
            looked = looked_at(function, arguments)
            values = [self._of_lists(first.function, first.arguments, self.type(first), looked)]
        else:
            values = [self.of(first)]
        values += [self.of(a) for a in others]
        list_call = ListCall(self.run, arguments, values, kind, self.counts, room)
        return compute_list(list_call, function)

    def _logic(self, arguments: Sequence[Expression], *, stops: bool) -> SecretColumn:
        """AND and OR; what follows a part that decides does not count."""
        found = self.of(arguments[0])
        for argument in arguments[1:]:
            truth = logic.value_marks(self.run, found)
            if stops:
                open_ = logic.complement(self.run, truth)
                found = logic.either(self.run, found, self.where(open_).of(argument))
            else:
                unknown = logic.complement(self.run, known_of(found))
                open_ = logic.disjunction(self.run, truth, unknown)
                found = logic.both(self.run, found, self.where(open_).of(argument))
        return found

    def _coalesce(self, arguments: Sequence[Expression]) -> SecretColumn:
        found = self.of(arguments[0])
        for argument in arguments[1:]:
            missing = logic.complement(self.run, known_of(found))
            found = logic.coalesce(self.run, *one_layout(found, self.where(missing).of(argument)))
        return found


COMPUTED: Final = frozenset(
    {*OF_VALUES, *OF_ARGUMENTS, *LIST_FUNCTIONS, *LAMBDAS, "and", "or", "coalesce"}
)
"""All functions that are computed here: those that `mc2.plan.oblivious` allows."""
