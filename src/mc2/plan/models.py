"""Machine-learning operations: a matrix of rows, training, prediction, training history.

Spec: docs/spec/plan.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.plan.parameters import Parameter, read_parameters
from mc2.plan.relations import read_names, read_node, read_nodes

PREDICTIONS: Final = ("leaf", "margin", "value")
ROUNDS: Final = ("all", "best")
BOOST_ROUNDS: Final = 100_000
_EVALUATIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows to train on or to predict: those of all sources, one after the other.

    Every source has all columns named here, with the same types. `features` are in the model's
    order. `categorical` are those features whose values are names, not amounts. `missing` is the
    number, in the plan's spelling of a double, that stands for an absent value beside NULL; it is
    `NaN` if there is none other.
    """

    OP: ClassVar[str] = "matrix"

    sources: tuple[int, ...]
    features: tuple[str, ...]
    label: str | None = None
    weight: str | None = None
    categorical: tuple[str, ...] = ()
    missing: str = "NaN"

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "sources": list(self.sources),
            "features": list(self.features),
            "label": self.label,
            "weight": self.weight,
            "categorical": list(self.categorical),
            "missing": self.missing,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            sources=read_nodes(fields, "sources"),
            features=read_names(fields, "features"),
            label=fields.optional("label", lambda name: fields.text(name, 255)),
            weight=fields.optional("weight", lambda name: fields.text(name, 255)),
            categorical=read_names(fields, "categorical"),
            missing=fields.text("missing", 64),
        )


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
class Train:
    """An XGBoost model, trained as `xgboost.train` does with the same arguments.

    `parameters` are those of `mc2.plan.parameters`, sorted by name. With `early_stopping_rounds`
    the last metric of the last evaluation decides, as in stock XGBoost.
    """

    OP: ClassVar[str] = "train"

    matrix: int
    parameters: tuple[Parameter, ...]
    num_boost_round: int
    evaluations: tuple[Evaluation, ...] = ()
    early_stopping_rounds: int | None = None

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads, each once."""
        return tuple(dict.fromkeys((self.matrix, *(e.matrix for e in self.evaluations))))

    @property
    def named_parameters(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return {p.name: p for p in self.parameters}

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "matrix": self.matrix,
            "parameters": {p.name: p.json() for p in self.parameters},
            "num_boost_round": self.num_boost_round,
            "evaluations": [e.json() for e in self.evaluations],
            "early_stopping_rounds": self.early_stopping_rounds,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""
        return cls(
            matrix=read_node(fields, "matrix"),
            parameters=read_parameters(fields.value("parameters")),
            num_boost_round=fields.integer("num_boost_round", 1, BOOST_ROUNDS),
            evaluations=fields.items("evaluations", _EVALUATIONS, Evaluation.read),
            early_stopping_rounds=fields.optional(
                "early_stopping_rounds", lambda name: fields.integer(name, 1, BOOST_ROUNDS)
            ),
        )


@dataclass(frozen=True, slots=True)
class Predict:
    """What a model says of each row of a matrix: a relation.

    Its columns are those of `keep`, taken from the matrix's sources, then the prediction under
    `name` (for several classes `name_0`, `name_1`, …). `what` is the value, the margin before the
    objective's last step, or the list of leaf numbers, one for each tree. `rounds` takes all
    trees, or those up to the best round of early stopping.
    """

    OP: ClassVar[str] = "predict"

    model: int
    matrix: int
    keep: tuple[str, ...] = ()
    name: str = "prediction"
    what: str = "value"
    rounds: str = "all"

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.model, self.matrix)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "model": self.model,
            "matrix": self.matrix,
            "keep": list(self.keep),
            "name": self.name,
            "what": self.what,
            "rounds": self.rounds,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            model=read_node(fields, "model"),
            matrix=read_node(fields, "matrix"),
            keep=read_names(fields, "keep"),
            name=fields.text("name", 255),
            what=fields.choice("what", PREDICTIONS),
            rounds=fields.choice("rounds", ROUNDS),
        )


@dataclass(frozen=True, slots=True)
class History:
    """The metrics of a training: a relation (round, evaluation, metric, value).

    One row for each round, evaluation set and metric, in that order. Rounds count from 0.
    """

    OP: ClassVar[str] = "history"

    model: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.model,)

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"model": self.model}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_node(fields, "model"))


ModelOperation = Matrix | Train | Predict | History
