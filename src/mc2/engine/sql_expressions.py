"""Expressions of a plan as SQL over columns that are named by their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mc2.engine.constants import folded_call, folded_cast
from mc2.engine.sql_calls import call, may_fail
from mc2.engine.sql_casts import cast, never_fails
from mc2.engine.sql_lists import lambda_of, place_of
from mc2.engine.sql_terms import Scribe, Term, unfolded
from mc2.engine.sql_types import sql_literal
from mc2.formats.schema import Column, DataType
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
    columns_of,
)
from mc2.plan.functions import Argument, function
from mc2.plan.types import BOOLEAN


class ExpressionWriter:
    """Writes expressions over some columns; `names` says how SQL calls each of them.

    `parameters` are what lambdas around the expressions are given.
    """

    def __init__(
        self,
        scribe: Scribe,
        columns: Mapping[str, Column],
        names: Mapping[str, str],
        parameters: Mapping[str, Term] | None = None,
    ) -> None:
        self._scribe = scribe
        self._columns = columns
        self._names = names
        self._parameters = parameters or {}

    def term(self, expression: Expression) -> Term:  # noqa: PLR0911 - one a case
        """An expression that `mc2.plan.typing` accepted, as a term."""
        match expression:
            case ColumnRef(name):
                column = self._columns[name]
                return Term(self._names[name], column.type, column.nullable, simple=True)
            case Literal(text, kind):
                sql = sql_literal(expression)
                return Term(sql, kind, text is None, simple=True, literal=text, constant=True)
            case Call(name, arguments) if function(name).lambdas:
                return self._of_elements(name, arguments)
            case Call(name, arguments):
                return self._call(name, [self.term(a) for a in arguments], arguments)
            case Cast(value, kind, strict):
                return self._cast(self.term(value), kind, strict=strict)
            case Case():
                return self._case(expression)
            case InList(value, items):
                return self._in_list(self.term(value), items)
            case Parameter(name):
                return self._parameters[name]
            case Lambda():
                raise RuntimeError("typing lets a lambda stand as an argument only")

    def _of_elements(self, name: str, arguments: Sequence[Expression]) -> Term:
        """A function of lists with lambdas, each of which is written over names of its own."""
        known = function(name)
        terms: list[Term] = []
        typed: list[Argument] = []
        for place, argument in enumerate(arguments):
            if isinstance(argument, Lambda):
                given = known.lambdas[place](tuple(typed))
                terms.append(self._lambda(name, argument, given, constant=_constant(terms)))
            else:
                terms.append(self.term(argument))
            typed.append(Argument(terms[-1].type, terms[-1].nullable))
        kind, nullable = known.type(tuple(typed))
        fails = any(t.fails for t in terms)
        constant = _constant(terms)
        if fails and constant:
            terms[0] = unfolded(terms[0])
        sql = call(self._scribe, name, terms, kind)
        return Term(sql, kind, nullable, fails=fails, constant=constant)

    def _lambda(
        self, function_: str, one: Lambda, given: Sequence[Argument], *, constant: bool
    ) -> Term:
        """The body, behind the names by which SQL gives it what it needs."""
        names = [self._scribe.name() for _ in one.parameters]
        shown = [place_of(function_, i, name) for i, name in enumerate(names)]
        terms = {
            parameter: Term(sql, known.type, known.nullable, simple=True, constant=constant)
            for parameter, sql, known in zip(one.parameters, shown, given, strict=False)
        }
        inner = ExpressionWriter(
            self._scribe, self._columns, self._names, {**self._parameters, **terms}
        )
        body = inner.term(one.body)
        return replace(body, sql=lambda_of(names, body.sql), literal=None)

    def _call(
        self, name: str, arguments: Sequence[Term], expressions: Sequence[Expression]
    ) -> Term:
        typed = tuple(
            Argument(t.type, t.nullable, e if isinstance(e, Literal) else None)
            for t, e in zip(arguments, expressions, strict=True)
        )
        kind, nullable = function(name).type(typed)
        known = folded_call(name, arguments, kind)
        if known is not None:
            return self.term(known)
        fails = may_fail(name, arguments, kind)
        constant = all(a.constant for a in arguments)
        if fails and constant:
            arguments = [unfolded(arguments[0]), *arguments[1:]]
        sql = call(self._scribe, name, arguments, kind)
        fails = fails or any(a.fails for a in arguments)
        return Term(sql, kind, nullable, fails=fails, constant=constant)

    def _cast(self, inner: Term, kind: DataType, *, strict: bool) -> Term:
        known = folded_cast(inner, kind)
        if known is not None:
            return self.term(known)
        fails = strict and not never_fails(inner.type, kind)
        operand = unfolded(inner) if fails and inner.constant else inner
        return Term(
            cast(self._scribe, operand, kind, strict=strict),
            kind,
            inner.nullable or not strict,
            fails=fails or inner.fails,
            constant=inner.constant,
        )

    def _case(self, expression: Case) -> Term:
        otherwise = self.term(expression.otherwise)
        branches = [(self.term(b.condition), self.term(b.value)) for b in expression.branches]
        text = " ".join(f"WHEN {c.sql} THEN {v.sql}" for c, v in branches)
        parts = [otherwise, *(t for b in branches for t in b)]
        nullable = otherwise.nullable or any(v.nullable for _, v in branches)
        return Term(
            f"(CASE {text} ELSE {otherwise.sql} END)",
            otherwise.type,
            nullable,
            fails=any(p.fails for p in parts),
            constant=all(p.constant for p in parts),
        )

    def _in_list(self, value: Term, items: Sequence[Literal]) -> Term:
        listed = ", ".join(sql_literal(i) for i in items)
        nullable = value.nullable or any(i.text is None for i in items)
        sql = f"({value.sql} IN ({listed}))"
        return Term(sql, BOOLEAN, nullable, fails=value.fails, constant=value.constant)

    def condition(self, expression: Expression, guard: str = "") -> Term:
        """A predicate of which only truth counts, for WHERE and ON.

        DuckDB may evaluate parts of a conjunction in any order and on rows of one side alone. So
        parts that may fail stand inside CASE, behind those that cannot, and behind `guard`, which
        is always true and ties them to rows of both sides of a join.
        """
        safe, chain = self.split(expression)
        text = guarded(safe, chain, guard)
        return Term(text, BOOLEAN, nullable=True, fails=bool(chain))

    def split(self, expression: Expression) -> tuple[list[str], str]:
        """A predicate's parts that cannot fail, and one condition of all that may, if there are.

        That one is for rows on which the others hold.
        """
        terms = [self.term(p) for p in self._parts(expression)]
        failing = [t.sql for t in terms if t.fails]
        chain = failing[-1] if failing else ""
        for part in reversed(failing[:-1]):
            chain = f"CASE WHEN {part} THEN {chain} ELSE FALSE END"
        return [t.sql for t in terms if not t.fails], chain

    def _parts(self, expression: Expression) -> list[Expression]:
        """Conditions that are true together exactly where a predicate is."""
        parts = [q for p in _conjuncts(expression) for q in self._factored(p)]
        return parts + [q for p in parts for q in self._implied(p)]

    def _factored(self, expression: Expression) -> tuple[Expression, ...]:
        """`(a AND b) OR (a AND c)` as `a`, `b OR c`: so that a join finds an equality in `a`.

        Parts that may fail stay where they are, behind what guards them.
        """
        if not isinstance(expression, Call) or expression.function != "or":
            return (expression,)
        branches = [_conjuncts(a) for a in expression.arguments]
        common = tuple(
            p
            for p in dict.fromkeys(branches[0])
            if all(p in b for b in branches[1:]) and not self.term(p).fails
        )
        rest = [tuple(p for p in b if p not in common) for b in branches]
        if not common or not all(rest):  # a branch with nothing else is true wherever `common` is
            return common or (expression,)
        return (*common, Call("or", tuple(_all(b) for b in rest)))

    def _implied(self, expression: Expression) -> Iterator[Expression]:
        """`a = 1 OR a = 2` beside `(a = 1 AND b = 1) OR (a = 2 AND b = 2)`, and so for b.

        It is true wherever the whole is, so it leaves no other row out; but DuckDB can ask it of
        one table, before that is joined. Only what cannot fail is asked twice.
        """
        if not isinstance(expression, Call) or expression.function != "or":
            return
        branches = [_conjuncts(a) for a in expression.arguments]
        if all(len(b) == 1 for b in branches):
            return
        asked = [{p: columns_of(p) for p in b} for b in branches]
        for name in sorted({n for names in asked[0].values() if len(names) == 1 for n in names}):
            found = [tuple(p for p, names in b.items() if names == {name}) for b in asked]
            if all(found) and not any(self.term(p).fails for b in found for p in b):
                yield Call("or", tuple(_all(b) for b in found))


def guarded(safe: Sequence[str], chain: str, guard: str = "") -> str:
    """What `ExpressionWriter.split` took apart as one condition again, see `condition`."""
    if not chain:
        return " AND ".join(safe) or "TRUE"
    before = " AND ".join([*safe, guard] if guard else safe)
    if before:
        chain = f"CASE WHEN {before} THEN {chain} ELSE FALSE END"
    return " AND ".join([*safe, f"({chain})"])


def _constant(terms: Sequence[Term]) -> bool:
    return all(t.constant for t in terms)


def _all(parts: tuple[Expression, ...]) -> Expression:
    return parts[0] if len(parts) == 1 else Call("and", parts)


def _conjuncts(expression: Expression) -> tuple[Expression, ...]:
    if isinstance(expression, Call) and expression.function == "and":
        return tuple(p for a in expression.arguments for p in _conjuncts(a))
    return (expression,)
