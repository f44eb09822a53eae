"""What a function of a plan is: typed signatures, a rule for NULL, and checks.

Spec: docs/spec/plan.md.

A signature reads like `T, T -> boolean where T: ordered`: each argument has exactly the type
named, one letter is one type throughout, also inside `list<T>`; `...` after the last argument
repeats it, and nothing is converted silently.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType, parse_type
from mc2.plan.expressions import Literal
from mc2.plan.types import TYPE_CLASSES

_COMMA: Final = re.compile(r",(?![^(]*\))")  # not inside brackets
_WORD: Final = re.compile(r"[A-Za-z]\w*")


class Nulls(Enum):
    """When a function gives NULL."""

    ANY = "any"  # if any argument is NULL, and only then
    FIRST = "first"  # if the first argument is NULL, and only then
    LOGIC = "logic"  # by the rules of three-valued logic
    ALL = "all"  # only if all arguments are NULL
    NEVER = "never"
    MAYBE = "maybe"  # also for arguments that are not NULL


@dataclass(frozen=True, slots=True)
class Argument:
    """What typing knows of an argument: its type, whether it may be NULL, and if it is fixed."""

    type: DataType
    nullable: bool
    literal: Literal | None = None

    @property
    def text(self) -> str:
        """The text of the literal that it is; empty if it is none."""
        fixed = self.literal
        return "" if fixed is None or fixed.text is None else fixed.text


Arguments = tuple[Argument, ...]
Rule = Callable[[Arguments], DataType]
Check = Callable[[Arguments], None]
Given = Callable[[Arguments], Arguments]
"""What a lambda is given, in order, by the arguments before it; it may leave out the last ones."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One line of a function's typing: parameters, the class of each letter, and the result."""

    text: str
    parameters: tuple[str, ...]
    repeats: int
    letters: dict[str, str]
    result: str | Rule

    def expanded(self, count: int) -> tuple[str, ...] | None:
        """The parameters for so many arguments, or None if there are none for so many."""
        parameters = self.parameters
        more = count - len(parameters)
        if self.repeats and more > 0 and more % self.repeats == 0:
            parameters += parameters[-self.repeats :] * (more // self.repeats)
        return parameters if len(parameters) == count else None

    def match(self, arguments: Arguments) -> DataType | None:
        """The result's type, or None if the arguments do not fit."""
        parameters = self.expanded(len(arguments))
        if parameters is None:
            return None
        bound: dict[str, DataType] = {}
        for parameter, argument in zip(parameters, arguments, strict=True):
            if not self._fits(parameter, argument.type, bound):
                return None
        if not isinstance(self.result, str):
            return self.result(arguments)
        return parse_type(_WORD.sub(lambda m: str(bound.get(m[0], m[0])), self.result))

    def _fits(self, parameter: str, kind: DataType, bound: dict[str, DataType]) -> bool:
        if parameter.startswith("list<") and kind.element is not None:
            return self._fits(parameter[5:-1], kind.element, bound)
        if parameter not in self.letters:
            return str(kind) == parameter
        return is_of(kind, self.letters[parameter]) and bound.setdefault(parameter, kind) == kind


def is_of(kind: DataType, word: str) -> bool:
    """Whether a type belongs to a class, by the word that signatures use."""
    if word in {"any", "ordered"}:  # every type there is has an order
        return True
    return kind.name in TYPE_CLASSES[word]


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function: its name, typing, treatment of NULL, and meaning in one sentence.

    `literals` are the positions of arguments that must be literals and not NULL. `check` looks at
    them, and raises PlanError. `fails` says on which data it fails the job; empty if on none.
    `lambdas` are the positions of arguments that are lambdas, and what these are given; such an
    argument counts as one of the type that the lambda gives.
    """

    name: str
    signatures: tuple[Signature, ...]
    nulls: Nulls
    meaning: str
    fails: str = ""
    literals: frozenset[int] = frozenset()
    check: Check | None = None
    lambdas: Mapping[int, Given] = field(default_factory=dict)

    def type(self, arguments: Arguments) -> tuple[DataType, bool]:
        """The type of the result and whether it may be NULL. Raises: PlanError."""
        for position in sorted(self.literals):
            if position < len(arguments):
                fixed = arguments[position].literal
                if fixed is None or fixed.text is None:
                    raise PlanError(f"argument {position + 1} of {self.name} must be a literal")
        for line in self.signatures:
            found = line.match(arguments)
            if found is not None:
                if self.check is not None:
                    self.check(arguments)
                return found, self._nullable(arguments)
        raise PlanError(
            f"{self.name} takes no ({', '.join(str(a.type) for a in arguments)})",
            hint="it takes " + " or ".join(f"({line.text})" for line in self.signatures),
        )

    def _nullable(self, arguments: Arguments) -> bool:
        match self.nulls:
            case Nulls.ANY | Nulls.LOGIC:
                return any(a.nullable for a in arguments)
            case Nulls.FIRST:
                return arguments[0].nullable
            case Nulls.ALL:
                return all(a.nullable for a in arguments)
            case Nulls.NEVER:
                return False
            case Nulls.MAYBE:
                return True


def signature(text: str, result: Rule | None = None) -> Signature:
    """Read `T, T... -> boolean where T: ordered`; `result` stands in for the type after `->`.

    `string, T...2` repeats the last two.

    >>> signature("T, T -> boolean where T: ordered").parameters
    ('T', 'T')
    """
    head, _, where = text.partition(" where ")
    left, _, right = head.partition(" -> ")
    left, dots, many = left.partition("...")
    parameters = tuple(p.strip() for p in _COMMA.split(left)) if left else ()
    repeats = int(many or "1") if dots else 0
    letters: dict[str, str] = {}
    for clause in filter(None, where.split("; ")):
        letter, _, word = clause.partition(": ")
        letters[letter] = word
    return Signature(text, parameters, repeats, letters, result or right)


def define(  # noqa: PLR0913  # one row of a table
    name: str,
    signatures: str | Signature | tuple[str | Signature, ...],
    meaning: str,
    nulls: Nulls = Nulls.ANY,
    *,
    fails: str = "",
    literals: tuple[int, ...] = (),
    check: Check | None = None,
    lambdas: Mapping[int, Given] | None = None,
) -> Function:
    """One row of a table of functions."""
    lines = signatures if isinstance(signatures, tuple) else (signatures,)
    typed = tuple(signature(line) if isinstance(line, str) else line for line in lines)
    return Function(name, typed, nulls, meaning, fails, frozenset(literals), check, lambdas or {})


def both(rule: Callable[[DataType, DataType], DataType]) -> Rule:
    """A rule over the types of the first two arguments."""
    return lambda arguments: rule(arguments[0].type, arguments[1].type)


def decimals(rule: Callable[[DataType, DataType], DataType]) -> Signature:
    """Two decimals to a decimal whose digits follow from theirs."""
    return signature("P, Q -> decimal where P: decimal; Q: decimal", both(rule))


OVERFLOW: Final = "the result is out of its type's range"
ZERO: Final = "the divisor is zero, or the result is out of its type's range"
