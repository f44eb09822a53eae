"""Training of boosted models: one model, or one for each fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from mc2.errors import PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ModelPolicy
from mc2.plan.formulas import Formula, check_metric, check_objective, read_formula
from mc2.plan.literals import float_text, parse_float
from mc2.plan.matrices import read_texts
from mc2.plan.parameters import Parameter, read_parameters
from mc2.plan.relations import read_node

BOOST_ROUNDS: Final = 100_000
FOLDS: Final = 1000
_EVALUATIONS: Final = 64
_NAME: Final = 63
_SEED: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A matrix whose metrics are computed after each round, under a name."""

    name: str
    matrix: int

    def json(self) -> Json:
        """The evaluation as canonical JSON has it."""
        return {"name": self.name, "matrix": self.matrix}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read one evaluation. Raises: FormatError."""
        fields = Fields(value, "an evaluation set")
        found = cls(fields.text("name", 63), read_node(fields, "matrix"))
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Stopping:
    """Early stopping, as stock XGBoost's callback has it.

    `metric` and `evaluation` are the last ones unless they are named. `maximize` is known by the
    metric's name unless it is said. `save_best` keeps the rounds up to the best one only.
    """

    rounds: int
    metric: str | None = None
    evaluation: str | None = None
    maximize: bool | None = None
    save_best: bool = False
    min_delta: str = "0.0"

    def json(self) -> Json:
        """Early stopping as canonical JSON has it."""
        return {
            "rounds": self.rounds,
            "metric": self.metric,
            "evaluation": self.evaluation,
            "maximize": self.maximize,
            "save_best": self.save_best,
            "min_delta": self.min_delta,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read early stopping. Raises: FormatError, PlanError."""
        fields = Fields(value, "early stopping")
        found = cls(
            rounds=fields.integer("rounds", 1, BOOST_ROUNDS),
            metric=fields.optional("metric", lambda n: fields.text(n, _NAME)),
            evaluation=fields.optional("evaluation", lambda n: fields.text(n, _NAME)),
            maximize=fields.optional("maximize", fields.boolean),
            save_best=fields.boolean("save_best"),
            min_delta=_share(fields.text("min_delta", 64), 3.4e38),
        )
        fields.done()
        return found


def _share(text: str, most: float) -> str:
    number = parse_float(text)
    if float_text(number) != text or not 0 <= number <= most:
        raise PlanError(f"{text[:40]!r} is no number from 0 to {most:g}")
    return text


Controls = ModelPolicy
"""What a model must not tell of single rows: a plan says it as owners demand it.

Without enough rows or owners in a leaf, or with a threshold that is no edge of its matrix, the job
fails.
"""

NO_CONTROLS: Final = Controls()


@dataclass(frozen=True, slots=True)
class Dropout:
    """Training goes on without parties at home that drop out, while enough are left.

    `least_parties` counts owners whose rows the model is still trained on. Without one of these a
    party that drops out ends the job.
    """

    least_parties: int

    def json(self) -> Json:
        """The rule as canonical JSON has it."""
        return {"least_parties": self.least_parties}

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read the rule. Raises: FormatError."""
        fields = Fields(value, "the dropout of parties")
        found = cls(fields.integer("least_parties", 1, LIMITS.members))
        fields.done()
        return found


@dataclass(frozen=True, slots=True)
class Train:
    """An XGBoost model, trained as `xgboost.train` does with the same arguments.

    `parameters` are those of `mc2.plan.parameters`, sorted by name. `start` is a model whose trees
    come first. `learning_rates` has one for each round, if it is not empty. `dropout` says what
    happens when a party at home drops out; None is an error.
    """

    OP: ClassVar[str] = "train"

    matrix: int
    parameters: tuple[Parameter, ...]
    num_boost_round: int
    evaluations: tuple[Evaluation, ...] = ()
    stopping: Stopping | None = None
    learning_rates: tuple[str, ...] = ()
    start: int | None = None
    objective: Formula | None = None
    metric: Formula | None = None
    controls: Controls = NO_CONTROLS
    dropout: Dropout | None = None

    @property
    def matrices(self) -> tuple[int, ...]:
        """The matrices it reads, each once."""
        return tuple(dict.fromkeys((self.matrix, *(e.matrix for e in self.evaluations))))

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads, each once."""
        return self.matrices if self.start is None else (*self.matrices, self.start)

    @property
    def named_parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return {p.name: p for p in self.parameters}

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same over nodes with other places."""
        return replace(
            self,
            matrix=places[self.matrix],
            evaluations=tuple(replace(e, matrix=places[e.matrix]) for e in self.evaluations),
            start=None if self.start is None else places[self.start],
        )

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            **_boosting_json(self),
            "evaluations": [e.json() for e in self.evaluations],
            "start": self.start,
            "controls": self.controls.json(),
            "dropout": None if self.dropout is None else self.dropout.json(),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""
        common, dropout = _read_boosting(fields), fields.value("dropout")
        return cls(
            matrix=common.matrix,
            parameters=common.parameters,
            num_boost_round=common.num_boost_round,
            stopping=common.stopping,
            learning_rates=common.learning_rates,
            objective=common.objective,
            metric=common.metric,
            evaluations=fields.items("evaluations", _EVALUATIONS, Evaluation.read),
            start=fields.optional("start", lambda _: read_node(fields, "start")),
            controls=Controls.read(fields.value("controls")),
            dropout=None if dropout is None else Dropout.read(dropout),
        )


@dataclass(frozen=True, slots=True)
class CrossValidate:
    """Metrics of models that are each trained without one part of the rows: a relation.

    Its columns are round, evaluation (`train` or `test`), metric, mean and std. The parts are
    those of stock XGBoost's `cv` with the same `seed`; or the column `folds` names each row's.
    """

    OP: ClassVar[str] = "cross_validate"

    matrix: int
    parameters: tuple[Parameter, ...]
    num_boost_round: int
    parts: int
    stratified: bool = False
    shuffle: bool = True
    seed: int = 0
    folds: str | None = None
    stopping: Stopping | None = None
    learning_rates: tuple[str, ...] = ()
    objective: Formula | None = None
    metric: Formula | None = None

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.matrix,)

    @property
    def named_parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return {p.name: p for p in self.parameters}

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same over nodes with other places."""
        return replace(self, matrix=places[self.matrix])

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            **_boosting_json(self),
            "parts": self.parts,
            "stratified": self.stratified,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "folds": self.folds,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""
        common = _read_boosting(fields)
        return cls(
            matrix=common.matrix,
            parameters=common.parameters,
            num_boost_round=common.num_boost_round,
            stopping=common.stopping,
            learning_rates=common.learning_rates,
            objective=common.objective,
            metric=common.metric,
            parts=fields.integer("parts", 0, FOLDS),
            stratified=fields.boolean("stratified"),
            shuffle=fields.boolean("shuffle"),
            seed=fields.integer("seed", 0, _SEED),
            folds=fields.optional("folds", lambda n: fields.text(n, 255)),
        )


Boosting = Train | CrossValidate
"""What trains models."""


@dataclass(frozen=True, slots=True)
class _Common:
    matrix: int
    parameters: tuple[Parameter, ...]
    num_boost_round: int
    stopping: Stopping | None
    learning_rates: tuple[str, ...]
    objective: Formula | None
    metric: Formula | None


def _boosting_json(operation: Boosting) -> dict[str, Json]:
    stopping, objective, metric = operation.stopping, operation.objective, operation.metric
    return {
        "matrix": operation.matrix,
        "parameters": {p.name: p.json() for p in operation.parameters},
        "num_boost_round": operation.num_boost_round,
        "early_stopping": None if stopping is None else stopping.json(),
        "learning_rates": list(operation.learning_rates),
        "objective": None if objective is None else objective.json(),
        "metric": None if metric is None else metric.json(),
    }


def _read_boosting(fields: Fields) -> _Common:
    objective, metric = fields.value("objective"), fields.value("metric")
    stopping = fields.value("early_stopping")
    rates = read_texts(fields, "learning_rates", BOOST_ROUNDS)
    return _Common(
        matrix=read_node(fields, "matrix"),
        parameters=read_parameters(fields.value("parameters")),
        num_boost_round=fields.integer("num_boost_round", 1, BOOST_ROUNDS),
        stopping=None if stopping is None else Stopping.read(stopping),
        learning_rates=tuple(_share(rate, 1e9) for rate in rates),
        objective=None if objective is None else read_formula(check_objective, objective),
        metric=None if metric is None else read_formula(check_metric, metric),
    )
