"""Callbacks of stock XGBoost that make sense in a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mc2.errors import PlanError

if TYPE_CHECKING:
    from mc2.plan.models import Stopping

_ROUNDS = 100_000


class EarlyStopping:
    """Stop when a metric has not got better for some rounds, as stock XGBoost's callback."""

    __slots__ = ("stopping",)

    def __init__(
        self,
        *,
        rounds: int,
        metric_name: str | None = None,
        data_name: str | None = None,
        maximize: bool | None = None,
        save_best: bool | None = False,
        min_delta: float = 0.0,
    ) -> None:
        from mc2.plan.literals import float_text
        from mc2.plan.models import Stopping

        check_count(rounds, "early_stopping_rounds", _ROUNDS)
        for name in (metric_name, data_name):
            if name is not None and not isinstance(name, str):
                raise PlanError("metric_name= and data_name= are texts")
        if maximize not in {None, True, False} or save_best not in {None, True, False}:
            raise PlanError("maximize= and save_best= are True or False")
        if isinstance(min_delta, bool) or not isinstance(min_delta, (int, float)) or min_delta < 0:
            raise PlanError("min_delta= is a number from 0")
        self.stopping: Stopping = Stopping(
            rounds=rounds,
            metric=metric_name,
            evaluation=data_name,
            maximize=None if maximize is None else bool(maximize),
            save_best=bool(save_best),
            min_delta=float_text(float(min_delta)),
        )

    def __repr__(self) -> str:
        return "EarlyStopping()"


class LearningRateScheduler:
    """A learning rate for each round: a list, or a function of the round's number."""

    __slots__ = ("_rates",)

    def __init__(self, learning_rates: Sequence[float] | Callable[[int], float]) -> None:
        self._rates = learning_rates

    def rates(self, rounds: int) -> tuple[str, ...]:
        """The rate of each round, as the plan spells it. Raises: PlanError."""
        from mc2.plan.literals import float_text

        given = self._rates
        if callable(given):
            found: list[object] = [given(i) for i in range(rounds)]
        elif isinstance(given, (list, tuple)):
            found = list(given)
        else:
            raise PlanError("learning_rates is a list of numbers, or a function of the round")
        if len(found) != rounds:
            raise PlanError(f"there are {len(found)} learning rates for {rounds} rounds")
        numbers = [f for f in found if isinstance(f, (int, float)) and not isinstance(f, bool)]
        if len(numbers) != len(found) or not all(0 <= n <= 1e9 for n in numbers):
            raise PlanError("a learning rate is a number from 0")
        return tuple(float_text(float(n)) for n in numbers)

    def __repr__(self) -> str:
        return "LearningRateScheduler()"


def read_callbacks(
    values: object, rounds: int, stopping: Stopping | None
) -> tuple[Stopping | None, tuple[str, ...]]:
    """Early stopping and learning rates. Raises: PlanError."""
    if not isinstance(values, (list, tuple)):
        raise PlanError("callbacks= is a list", hint="callbacks=[EarlyStopping(rounds=5)]")
    rates: tuple[str, ...] = ()
    for value in values:
        if isinstance(value, EarlyStopping):
            if stopping is not None:
                raise PlanError("early stopping is asked for twice")
            stopping = value.stopping
        elif isinstance(value, LearningRateScheduler):
            if rates:
                raise PlanError("learning rates are given twice")
            rates = value.rates(rounds)
        else:
            raise PlanError(
                f"a {type(value).__name__} is no callback of a plan",
                hint="EarlyStopping and LearningRateScheduler are",
            )
    return stopping, rates


def check_count(value: object, what: str, most: int) -> None:
    """Refuse what is no number from 1. Raises: PlanError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise PlanError(f"{what} is a whole number from 1 to {most}")
