"""Metrics of boosting, round by round, and early stopping by one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.errors import EngineError
from mc2.ml.boosted_trees import reveal
from mc2.ml.boosting_metrics import is_maximised, metric_names, metric_value
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_rows import Reals, Sums
from mc2.operators.run import Run

History = dict[str, dict[str, list[float]]]
"""Metrics by evaluation set and name, one number a round."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What early stopping looks at: the last metric of the last set, if none is named.

    A round is better if it is so by more than `min_delta`; what is better follows from the metric.
    """

    evaluation: str | None = None
    metric: str | None = None
    min_delta: float = 0.0
    maximize: bool | None = None


LAST: Final = Watched()
"""What stock XGBoost looks at."""


class Watch:
    """Metrics after each round, and early stopping after `rounds` without a better one.

    Raises: EngineError for what cannot be watched.
    """

    def __init__(
        self,
        run: Run,
        parameters: BoostingParameters,
        evaluations: Sequence[str],
        rounds: int | None,
        watched: Watched,
    ) -> None:
        self._run, self._stop = run, rounds
        if rounds is not None and not evaluations:
            raise EngineError("early stopping needs an evaluation set")
        names = metric_names(parameters)
        self._metrics = [(name, metric) for name in evaluations for metric in names]
        self._secret: list[tuple[str, str, Sums, Reals]] = []
        self._history: History = {name: {m: [] for m in names} for name in evaluations}
        self._least = watched.min_delta
        last = evaluations[-1] if evaluations else ""
        self._seen = (watched.evaluation or last, watched.metric or names[-1])
        if rounds is not None and self._seen not in self._metrics:
            raise EngineError("early stopping watches a metric of an evaluation set")
        more = watched.maximize
        self._sign = -1 if (is_maximised(self._seen[1]) if more is None else more) else 1
        self.best: int | None = None
        """The best round, counted from the first one that is watched."""
        self.best_score: float | None = None

    @property
    def count(self) -> int:
        """How many metrics there are, over all sets."""
        return len(self._metrics)

    def add_round(self, sums: Sums, greatest: Reals) -> None:
        """Keep the metrics of a round secret."""
        for place, (name, metric) in enumerate(self._metrics):
            here = slice(2 * place, 2 * place + 2)
            self._secret.append((name, metric, sums[here].copy(), greatest[here].copy()))

    def stops(self) -> bool:
        """With early stopping: whether so many rounds were no better than the best one."""
        if self._stop is None:
            return False
        self._show()
        values = self._history[self._seen[0]][self._seen[1]]
        last, place = values[-1], len(values) - 1
        if self.best_score is None or self._sign * (self.best_score - last) > self._least:
            self.best, self.best_score = place, last
        return self.best is not None and place - self.best >= self._stop

    def history(self) -> History:
        """All metrics, public from now on."""
        self._show()
        return self._history

    def _show(self) -> None:
        for name, metric, sums, greatest in self._secret:
            shown = reveal(self._run, sums, "metrics are an output")
            units = reveal(self._run, greatest, "metrics are an output")
            value = metric_value(metric, shown.tolist(), units.tolist())
            self._history[name][metric].append(value)
        self._secret.clear()
