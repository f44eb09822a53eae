"""Cross-validation in oblivious plans: models that are each trained without one part of the rows.

Which part a row is in follows from its place and the job's key alone, so nothing of it is secret.
All rounds are trained, and early stopping looks at their means afterwards: nothing shows but what
the plan puts out. Spec: docs/spec/plan.md, section "Oblivious mode".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b, shake_256
from typing import Final

import numpy as np
import numpy.typing as npt

from mc2.ml import boosting
from mc2.ml.boosting import SECRET, Training
from mc2.ml.boosting_metrics import is_maximised, metric_names
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_tables import Roles, cuts_of_tables, matrices_of_tables
from mc2.ml.boosting_watch import History
from mc2.operators.handles import SecretMarks, SecretTable, marks_of
from mc2.operators.logic import conjunction
from mc2.operators.run import Run
from mc2.plan.literals import parse_float
from mc2.plan.training import CrossValidate, Stopping

Row = tuple[int, bytes, bytes, float, float]
"""Round, evaluation, metric, mean and standard deviation."""

_SETS: Final = ("train", "test")
_WORD: Final = 8


def validate(
    run: Run,
    operation: CrossValidate,
    roles: Roles,
    tables: Sequence[SecretTable],
    key: bytes,
    tell: Callable[[int], None],
) -> list[Row]:
    """The metrics of each round over all parts, which are public; `tell` hears of rounds.

    Raises: EngineError for what cannot be trained; flags of the run as `boosting.train`.
    """
    given = {p.name: p.value for p in operation.parameters}
    parameters = BoostingParameters.read(given, roles.features)
    rates = tuple(map(parse_float, operation.learning_rates))
    training = Training(operation.num_boost_round, SECRET, learning_rates=rates)
    parts = [parts_of_places(key, operation, t.rows, n) for n, t in enumerate(tables)]
    found = []
    for part in range(operation.parts):
        own = blake2b(b"part %d" % part, digest_size=len(key), key=key).digest()
        inside = [p == part for p in parts]
        trained = [_restricted(run, t, ~marks) for t, marks in zip(tables, inside, strict=True)]
        tested = [_restricted(run, t, marks) for t, marks in zip(tables, inside, strict=True)]
        cuts = cuts_of_tables(run, roles, trained, parameters.max_bin)
        matrices, judged = (
            matrices_of_tables(run, roles, cuts, rows, labels=True) for rows in (trained, tested)
        )
        sets = dict(zip(_SETS, (matrices, judged), strict=True))
        model = boosting.train(run, matrices, parameters, training, own, evaluations=sets)
        found.append(model.history)
        tell(operation.num_boost_round * (part + 1) // operation.parts)
    return list(_rows(operation, parameters, found))


def parts_of_places(
    key: bytes, operation: CrossValidate, places: int, table: int
) -> npt.NDArray[np.int64]:
    """The part of each place of a table: of as many places in a row as there are parts, each once.

    So parts are as large as one another, to a row for each table, however many rows there are.
    """
    parts = operation.parts
    blocks = -(-places // parts)
    purpose = f"mc2 parts {operation.seed} {table}".encode()
    drawn = shake_256(key + purpose).digest(_WORD * blocks * parts)
    words = np.frombuffer(drawn, dtype=">u8").reshape(blocks, parts)
    return np.argsort(words, axis=1, kind="stable").reshape(-1)[:places]


def _restricted(run: Run, table: SecretTable, places: npt.NDArray[np.bool_]) -> SecretTable:
    marks = conjunction(run, marks_of(table.present), places.astype(np.uint8))
    return SecretTable(table.columns, SecretMarks(marks))


def _rows(
    operation: CrossValidate, parameters: BoostingParameters, found: Sequence[History]
) -> Iterator[Row]:
    names = metric_names(parameters)
    values = {(s, m): np.array([h[s][m] for h in found]) for s in _SETS for m in names}
    means = {place: v.mean(axis=0) for place, v in values.items()}
    rounds, stopping = operation.num_boost_round, operation.stopping
    if stopping is not None:
        watched = (stopping.evaluation or _SETS[-1], stopping.metric or names[-1])
        rounds = _best(stopping, watched[1], means[watched])
    for number in range(rounds):
        for (evaluation, metric), each in values.items():
            mean, spread = means[evaluation, metric][number], each[:, number].std()
            yield number, evaluation.encode(), metric.encode(), float(mean), float(spread)


def _best(stopping: Stopping, metric: str, means: npt.NDArray[np.float64]) -> int:
    """How many rounds stock XGBoost would tell of: up to the best one, if it stops."""
    more = is_maximised(metric) if stopping.maximize is None else stopping.maximize
    least, best = parse_float(stopping.min_delta), 0
    for place, mean in enumerate(means):
        if (mean - means[best] if more else means[best] - mean) > least:
            best = place
        elif place - best >= stopping.rounds:
            return best + 1
    return len(means)
