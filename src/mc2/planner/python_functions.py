"""Python functions over the values of a row (`job.udf`): source text to expressions of a plan.

No function is ever called, at home or in an enclave. Its source, which stands in the script that
owners read and sign, is read statement by statement with values of a row in the place of numbers;
what comes out are expressions like those of SQL: typed, bounded and checked again in the enclave.
Spec: docs/spec/plan.md, section "Python functions".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mc2.errors import FormatError, PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import Call, Expression, children
from mc2.planner.python_values import (
    FUNCTIONS,
    NONE,
    RETURNS,
    Value,
    argument,
    binary,
    choice,
    compare,
    constant,
    contains,
    joined,
    method,
    negated,
    piece,
    result,
    sure,
    truth,
    unary,
)
from mc2.planner.typed import Typed

_STEPS: Final = 5_000
"""Statements and operations that one call may come to: a function that grows is refused."""
_SIZE: Final = 20_000  # parts of an expression; `x = x + x` in a loop doubles it each time
_ROUNDS: Final = 100  # of one loop
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.IGNORECASE)

_PART: Final = "give a part of it a column of its own: withColumn, or a subquery"

Names = Mapping[str, Value]
Body = tuple[ast.stmt, ...]


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """A function: its name in queries, its source's tree, and the type that it returns."""

    name: str
    parameters: tuple[str, ...]
    body: Body
    returns: DataType

    def apply(self, arguments: Sequence[Typed]) -> Value:
        """A call over values of a query. Raises: PlanError."""
        if len(arguments) != len(self.parameters):
            raise PlanError(
                f"{self.name} takes {len(self.parameters)} arguments, not {len(arguments)}",
                hint=f"{self.name}({', '.join(self.parameters)})",
            )
        given = {
            name: NONE
            if value.untyped
            else argument(value.expression, value.type, nullable=value.nullable)
            for name, value in zip(self.parameters, arguments, strict=True)
        }
        try:
            return _Reader(self).run(self.body, given)
        except RecursionError:
            raise PlanError(f"the function {self.name} nests too deeply") from None


def python_function(
    tree: ast.FunctionDef | ast.Lambda, name: str, kind: DataType
) -> PythonFunction:
    """A function of its source's tree. Raises: PlanError if it can be none over rows."""
    if not _NAME.fullmatch(name):
        raise PlanError(f"{name!r} is no name of a function", hint="letters, digits and _")
    if kind.name not in RETURNS:
        raise PlanError(
            f"a Python function returns no {kind}", hint=f"it returns {', '.join(RETURNS)}"
        )
    given = tree.args
    if given.vararg or given.kwarg or given.kwonlyargs or given.defaults or given.posonlyargs:
        raise _at(tree, name, "it has more than plain parameters", "write def f(a, b)")
    parameters = tuple(a.arg for a in given.args)
    if isinstance(tree, ast.Lambda):
        back = ast.copy_location(ast.Return(tree.body), tree.body)
        return PythonFunction(name, parameters, (back,), kind)
    return PythonFunction(name, parameters, tuple(tree.body), kind)


def _at(node: ast.AST, name: str, message: str, hint: str) -> PlanError:
    line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0) + 1
    return PlanError(f"{name}(), line {line}, column {column}: {message}", hint=hint)


class _Located(Exception):  # noqa: N818 - carries an error that has its place out of the reader
    def __init__(self, error: PlanError) -> None:
        super().__init__()
        self.error = error


class _Reader:
    """Reads one call. Each way through the function is read with what is known on it."""

    def __init__(self, function: PythonFunction) -> None:
        self._function = function
        self._steps = 0
        self._sizes: dict[int, tuple[Expression, int]] = {}

    def run(self, body: Body, names: Names) -> Value:
        """The value that the function returns. Raises: PlanError with its place in the source."""
        try:
            return self._body(body, names)
        except _Located as located:
            raise located.error from None

    def _error(self, node: ast.AST, message: str, hint: str = "") -> _Located:
        return _Located(_at(node, self._function.name, message, hint))

    def _counted(self, node: ast.AST) -> None:
        self._steps += 1
        if self._steps > _STEPS:
            raise self._error(
                node,
                f"the function comes to more than {_STEPS:,} steps",
                _PART,
            )

    def _placed(self, node: ast.AST, make: Callable[[], Value]) -> Value:
        self._counted(node)
        try:
            found = make()
        except (PlanError, FormatError) as error:
            raise self._error(node, str(error), error.hint) from None
        if self._size(found.expression) > _SIZE:
            raise self._error(node, f"this grows to more than {_SIZE:,} parts", _PART)
        return found

    def _size(self, expression: Expression) -> int:
        """How many parts it has, counted once for each object: equal parts are shared here."""
        known = self._sizes.get(id(expression))
        if known is None:
            size = 1 + sum(self._size(c) for c in children(expression))
            known = self._sizes[id(expression)] = (expression, size)
        return known[1]

    # statements

    def _body(self, body: Body, names: Names) -> Value:
        known = dict(names)
        while body:
            node, body = body[0], body[1:]
            self._counted(node)
            match node:
                case ast.Return(value=None):
                    return self._result(node, NONE)
                case ast.Return(value=ast.expr() as value):
                    return self._result(node, self._value(value, known))
                case ast.If():
                    return self._branch(node, body, known)
                case ast.For():
                    body = self._unrolled(node) + body
                case ast.Pass() | ast.Expr(value=ast.Constant(value=str())):
                    pass
                case _:
                    self._assign(node, known)
        return result(NONE, self._function.returns)

    def _result(self, node: ast.AST, value: Value) -> Value:
        return self._placed(node, lambda: result(value, self._function.returns))

    def _branch(self, node: ast.If, rest: Body, known: Names) -> Value:
        test = self._condition(node.test, known)
        ways = []
        for outcome, then in ((True, node.body), (False, node.orelse)):
            if test.known is None or test.known == outcome:
                inner = _narrowed(node.test, known, outcome=outcome)
                ways.append(self._body((*then, *rest), inner))
        if len(ways) == 1:
            return ways[0]
        return self._placed(node, lambda: choice(test, ways[0], ways[1]))

    def _unrolled(self, node: ast.For) -> Body:
        """The rounds of a loop, one after the other."""
        name, call = node.target, node.iter
        hint = "write for i in range(10), with numbers, and neither break, continue nor else"
        if not isinstance(name, ast.Name) or node.orelse or not isinstance(call, ast.Call):
            raise self._error(node, "this loop has no end in sight", hint)
        numbers = [a.value for a in call.args if isinstance(a, ast.Constant)]
        whole = [n for n in numbers if type(n) is int]
        is_range = isinstance(call.func, ast.Name) and call.func.id == "range"
        if not is_range or call.keywords or len(whole) != len(call.args) or len(whole) > 2:
            raise self._error(node, "this loop has no end in sight", hint)
        if not whole or len(rounds := range(*whole)) > _ROUNDS:
            raise self._error(node, f"a loop has at most {_ROUNDS} rounds here", hint)
        body: list[ast.stmt] = []
        for number in rounds:
            assigned = ast.Assign([name], ast.copy_location(ast.Constant(number), node))
            body += [ast.copy_location(assigned, node), *node.body]
        return tuple(body)

    def _assign(self, node: ast.stmt, known: dict[str, Value]) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = self._value(value, known)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                known[name] = self._value(value, known)
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
                old = self._value(ast.copy_location(ast.Name(name, ast.Load()), node), known)
                new = self._value(value, known)
                known[name] = self._placed(node, lambda: binary(type(operator), old, new))
            case _:
                raise self._error(
                    node,
                    f"{type(node).__name__.lower()} may not stand in a Python function over rows",
                    "return, if, for over a range, and name = value may",
                )

    # values

    def _condition(self, node: ast.expr, known: Names) -> Value:
        value = self._value(node, known)
        return self._placed(node, lambda: truth(value))

    def _value(self, node: ast.expr, known: Names) -> Value:
        self._counted(node)
        read = _VALUES.get(type(node))
        if read is None:
            what = type(node).__name__.lower()
            raise self._error(
                node,
                f"{what} may not stand in a Python function over rows",
                "docs/howto/write-a-script.md lists what may",
            )
        return read(self, node, known)

    def _constant(self, node: ast.Constant, _known: Names) -> Value:
        return self._placed(node, lambda: constant(node.value))

    def _name(self, node: ast.Name, known: Names) -> Value:
        if node.id not in known:
            raise self._error(
                node,
                f"{node.id!r} is no parameter of the function, and has no value yet",
                "hand it over as an argument, or write the constant here",
            )
        return known[node.id]

    def _unary(self, node: ast.UnaryOp, known: Names) -> Value:
        value = self._value(node.operand, known)
        return self._placed(node, lambda: unary(type(node.op), value))

    def _binary(self, node: ast.BinOp, known: Names) -> Value:
        left, right = self._value(node.left, known), self._value(node.right, known)
        return self._placed(node, lambda: binary(type(node.op), left, right))

    def _logic(self, node: ast.BoolOp, known: Names) -> Value:
        word = "and" if isinstance(node.op, ast.And) else "or"
        values = []
        for part in node.values:
            values.append(self._condition(part, known))
            if values[-1].known == (word == "or") and values[-1].known is not None:
                break
            known = _narrowed(part, known, outcome=word == "and")
        return self._placed(node, lambda: joined(word, values))

    def _choice(self, node: ast.IfExp, known: Names) -> Value:
        test = self._condition(node.test, known)
        if test.known is not None:
            return self._value(node.body if test.known else node.orelse, known)
        yes = self._value(node.body, _narrowed(node.test, known, outcome=True))
        no = self._value(node.orelse, _narrowed(node.test, known, outcome=False))
        return self._placed(node, lambda: choice(test, yes, no))

    def _compare(self, node: ast.Compare, known: Names) -> Value:
        found = []
        left = self._value(node.left, known) if node.left else NONE
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, (ast.Is, ast.IsNot)):
                found.append(self._is_none(node, operator, left, right))
                continue
            if isinstance(operator, (ast.In, ast.NotIn)):
                inside = self._inside(node, left, right, known)
                found.append(inside if isinstance(operator, ast.In) else negated(inside))
                continue
            value = self._value(right, known)
            pair, kind = (left, value), type(operator)
            found.append(self._placed(node, lambda k=kind, p=pair: compare(k, *p)))  # type: ignore[misc]  # mypy infers no default
            left = value
        if len(found) > 1 and not all(isinstance(o, _ORDERED) for o in node.ops):
            raise self._error(node, "a chain of other than == and < may not stand here", "use and")
        return self._placed(node, lambda: joined("and", found))

    def _is_none(self, node: ast.AST, operator: ast.cmpop, left: Value, right: ast.expr) -> Value:
        if not isinstance(right, ast.Constant) or right.value is not None:
            raise self._error(node, "`is` stands before None only", "write ==")
        if left.kind == "None":
            found = constant(value=True)
        elif not left.none:
            found = constant(value=False)
        else:
            found = _null_test(left)
        return found if isinstance(operator, ast.Is) else negated(found)

    def _inside(self, node: ast.AST, left: Value, right: ast.expr, known: Names) -> Value:
        if isinstance(right, (ast.Tuple, ast.List)):
            values = [self._value(e, known) for e in right.elts]
            tests = [self._placed(node, lambda v=v: compare(ast.Eq, left, v)) for v in values]  # type: ignore[misc]  # mypy infers no default
            return self._placed(node, lambda: joined("or", tests))
        text = self._value(right, known)
        return self._placed(node, lambda: contains(text, left))

    def _call(self, node: ast.Call, known: Names) -> Value:
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self._error(node, "a call has plain arguments here", "f(a, b)")
        values = [self._value(a, known) for a in node.args]
        if isinstance(node.func, ast.Attribute):
            text, name = self._value(node.func.value, known), node.func.attr
            return self._placed(node, lambda: method(name, text, values))
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS or name in known:
            shown = name or "this"
            hint = f"a Python function over rows may call {', '.join(FUNCTIONS)}"
            raise self._error(node, f"{shown!r} may not be called here", hint)
        count, build = FUNCTIONS[name]
        if count and len(values) != count:
            raise self._error(node, f"{name} takes {count} argument", f"{name}(x)")

        def make() -> Value:
            return build([sure(v, f"an argument of {name}") for v in values])

        return self._placed(node, make)

    def _piece(self, node: ast.Subscript, known: Names) -> Value:
        text = self._value(node.value, known)
        cut = node.slice
        if not isinstance(cut, ast.Slice) or cut.step is not None:
            raise self._error(node, "only s[1:3] may stand here", "s[i:i + 1] is one character")
        low, high = (self._place(p, known) for p in (cut.lower, cut.upper))
        return self._placed(node, lambda: piece(text, low, high))

    def _place(self, node: ast.expr | None, known: Names) -> int | None:
        if node is None:
            return None
        found = self._value(node, known).known
        if type(found) is not int:
            raise self._error(node, "a place in a text is written as a number", "s[1:3]")
        return found

    def _text(self, node: ast.JoinedStr, known: Names) -> Value:
        found = constant("")
        for part in node.values:
            value = part.value if isinstance(part, ast.FormattedValue) else part
            if isinstance(part, ast.FormattedValue) and (part.format_spec or part.conversion != -1):
                raise self._error(node, "a format may not stand in an f-string here", "f'{n}'")
            given = self._value(value, known)
            found = self._placed(node, lambda a=found, b=given: _followed(a, b))  # type: ignore[misc]  # mypy infers no default
        return found


_ORDERED: Final = (ast.Eq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_VALUES: Final[Mapping[type[ast.expr], Callable[..., Value]]] = {
    ast.Constant: _Reader._constant,  # noqa: SLF001 - one table of one class
    ast.Name: _Reader._name,  # noqa: SLF001
    ast.UnaryOp: _Reader._unary,  # noqa: SLF001
    ast.BinOp: _Reader._binary,  # noqa: SLF001
    ast.BoolOp: _Reader._logic,  # noqa: SLF001
    ast.IfExp: _Reader._choice,  # noqa: SLF001
    ast.Compare: _Reader._compare,  # noqa: SLF001
    ast.Call: _Reader._call,  # noqa: SLF001
    ast.Subscript: _Reader._piece,  # noqa: SLF001
    ast.JoinedStr: _Reader._text,  # noqa: SLF001
}


def _followed(text: Value, value: Value) -> Value:
    _, show = FUNCTIONS["str"]
    return binary(ast.Add, text, show([sure(value, "a part of it")]))


def _null_test(value: Value) -> Value:
    return Value("bool", Call("is_null", (value.expression,)))


def _narrowed(test: ast.expr, known: Names, *, outcome: bool) -> Names:
    """What is known of names once a test had an outcome: that they are not None, or are."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return _narrowed(inner, known, outcome=not outcome)
        case ast.BoolOp(op=operator, values=parts) if isinstance(operator, ast.And) == outcome:
            for part in parts:
                known = _narrowed(part, known, outcome=outcome)
            return known
        case ast.Compare(
            left=ast.Name(id=name),
            ops=[ast.Is() | ast.IsNot() as operator],
            comparators=[ast.Constant(value=None)],
        ) if name in known:
            missing = isinstance(operator, ast.Is) == outcome
            return {**known, name: NONE if missing else replace(known[name], none=False)}
    return known
