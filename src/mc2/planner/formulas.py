"""Writes down what a script's objective or metric computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mc2.errors import PlanError
from mc2.planner.numbers import Numbers, Rows, predictions

if TYPE_CHECKING:
    from mc2.plan.formulas import Formula, Step


def objective(function: object) -> Formula:
    """The formula of an objective: gradient and hessian. Raises: PlanError."""
    from mc2.plan.formulas import check_objective

    found = _called(function, "obj")
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise PlanError("obj= gives a pair", hint="return gradient, hessian")
    formula = _formula(found, "")
    check_objective(formula)
    return formula


def metric(function: object) -> Formula:
    """The formula of a metric, with its name. Raises: PlanError."""
    from mc2.plan.formulas import check_metric

    found = _called(function, "custom_metric")
    if not isinstance(found, (tuple, list)) or len(found) != 2 or not isinstance(found[0], str):
        raise PlanError("custom_metric= gives a pair", hint='return "name", value')
    formula = _formula(found[1:], found[0])
    check_metric(formula)
    return formula


def _called(function: object, what: str) -> object:
    if not callable(function):
        raise PlanError(f"{what}= is a function of the script", hint="def f(preds, dtrain): ...")
    return function(predictions(), Rows())


def _formula(results: Sequence[object], name: str) -> Formula:
    from mc2.plan.formulas import Formula

    steps: list[Step] = []
    known: dict[Step, int] = {}
    places: dict[int, int] = {}
    for result in results:
        if not isinstance(result, Numbers):
            raise PlanError(f"a {type(result).__name__} is no number of a formula")
        _write(result, steps, known, places)
    found = tuple(places[id(r)] for r in results)
    return Formula(tuple(steps), found, name)


def _write(
    value: Numbers, steps: list[Step], known: dict[Step, int], places: dict[int, int]
) -> None:
    """Add what a value is made of, each different step once. Formulas may be deep, so no calls."""
    from mc2.plan.formulas import Step

    waiting = [value]
    while waiting:
        now = waiting[-1]
        missing = [a for a in now.arguments if id(a) not in places]
        if missing:
            waiting.extend(reversed(missing))
            continue
        waiting.pop()
        if id(now) in places:
            continue
        step = Step(now.function, tuple(places[id(a)] for a in now.arguments), now.text)
        if step not in known:
            if len(steps) >= 1000:
                raise PlanError("a formula has at most 1,000 steps")
            known[step] = len(steps)
            steps.append(step)
        places[id(now)] = known[step]
