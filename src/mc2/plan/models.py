"""Machine-learning operations: matrices, training, prediction, and what is known of a model.

Spec: docs/spec/plan.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from mc2.errors import PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS
from mc2.formats.result import MODEL_COLUMNS
from mc2.plan.matrices import Categories, Edges, Matrix, SaidOfRows
from mc2.plan.relations import read_names, read_node
from mc2.plan.training import (
    BOOST_ROUNDS,
    Controls,
    CrossValidate,
    Evaluation,
    Stopping,
    Train,
)

__all__ = [
    "BOOST_ROUNDS",
    "IMPORTANCES",
    "INSPECTIONS",
    "PREDICTIONS",
    "ROUNDS",
    "Annotate",
    "Categories",
    "Controls",
    "CrossValidate",
    "Edges",
    "Evaluation",
    "History",
    "Inspect",
    "Matrix",
    "ModelOperation",
    "Predict",
    "Recall",
    "Slice",
    "Stopping",
    "Train",
]

PREDICTIONS: Final = (
    "approx_contribs", "approx_interactions", "class", "contribs", "interactions", "leaf",
    "margin", "value",
)  # fmt: skip
ROUNDS: Final = ("all", "best")
IMPORTANCES: Final = ("cover", "gain", "total_cover", "total_gain", "weight")
INSPECTIONS: Final = ("attributes", "dump", "importance", "rounds", "splits", "trees")
_ATTRIBUTES: Final = 64


@dataclass(frozen=True, slots=True)
class Recall:
    """A model that an earlier job kept sealed, to predict with and for nothing else.

    `input` is the place of the kept result among the plan's inputs.
    """

    OP: ClassVar[str] = "recall"

    input: int

    @property
    def sources(self) -> tuple[int, ...]:
        """It reads no node."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """What it reads of its input: all there is."""
        return MODEL_COLUMNS.names

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same: it reads no node."""
        del places
        return self

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"input": self.input}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(fields.integer("input", 0, LIMITS.inputs - 1))


@dataclass(frozen=True, slots=True)
class Predict(SaidOfRows):
    """What a model of trees says of each row of a matrix.

    `what` is the value, the margin before the objective's last step, the most likely class, the
    list of leaf numbers, one for each tree, or what each feature, or each pair of them,
    contributes to the margin, the bias last. `rounds` takes all trees, or those up to the best
    round of early stopping; `first` and `last` take those of some rounds only, `last` not
    included.
    """

    OP: ClassVar[str] = "predict"

    rounds: str = "all"
    first: int = 0
    last: int = 0

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        own: dict[str, Json] = {"rounds": self.rounds, "first": self.first, "last": self.last}
        return {**SaidOfRows.json(self), **own}  # `super()` does not know a class with slots

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return replace(
            cls.read_said(fields, PREDICTIONS),
            rounds=fields.choice("rounds", ROUNDS),
            first=fields.integer("first", 0, BOOST_ROUNDS),
            last=fields.integer("last", 0, BOOST_ROUNDS),
        )


@dataclass(frozen=True, slots=True)
class _OfModel:
    """An operation over one model."""

    model: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.model,)

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same over a node with another place."""
        return replace(self, model=places[self.model])


@dataclass(frozen=True, slots=True)
class History(_OfModel):
    """The metrics of a training: a relation (round, evaluation, metric, value).

    One row for each round, evaluation set and metric, in that order. Rounds count from 0.
    """

    OP: ClassVar[str] = "history"

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"model": self.model}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(read_node(fields, "model"))


@dataclass(frozen=True, slots=True)
class Slice(_OfModel):
    """A model of some rounds of another: from `first` up to `last`, each `step`-th."""

    OP: ClassVar[str] = "slice"

    first: int = 0
    last: int = 1
    step: int = 1

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"model": self.model, "first": self.first, "last": self.last, "step": self.step}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            model=read_node(fields, "model"),
            first=fields.integer("first", 0, BOOST_ROUNDS),
            last=fields.integer("last", 0, BOOST_ROUNDS),
            step=fields.integer("step", 1, BOOST_ROUNDS),
        )


@dataclass(frozen=True, slots=True)
class Annotate(_OfModel):
    """The same model with some more attributes: texts by name, in the model's file."""

    OP: ClassVar[str] = "annotate"

    attributes: tuple[tuple[str, str], ...] = ()

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {"model": self.model, "attributes": dict(self.attributes)}

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""
        value = fields.value("attributes")
        if not isinstance(value, Mapping) or len(value) > _ATTRIBUTES:
            raise PlanError("the attributes of a model are not an object")
        inner = Fields(value, "the attributes of a model")
        found = tuple((name, inner.text(name, 1024)) for name in sorted(value))
        return cls(read_node(fields, "model"), found)


@dataclass(frozen=True, slots=True)
class Inspect(_OfModel):
    """What stands in a model, as a relation; `what` says which one.

    `importance`: importance, feature, output, score, for each of `kinds`; `trees`: the nodes of
    all trees; `dump`: tree and text, in `form` (`json` or `text`), with `stats`; `rounds`: one row
    with the numbers of rounds and features, and the best round; `attributes`: name and value;
    `splits`: feature, split and count, how often trees split there.
    """

    OP: ClassVar[str] = "inspect"

    what: str = "importance"
    kinds: tuple[str, ...] = ()
    form: str = "json"
    stats: bool = False

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "model": self.model,
            "what": self.what,
            "kinds": list(self.kinds),
            "form": self.form,
            "stats": self.stats,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls(
            model=read_node(fields, "model"),
            what=fields.choice("what", INSPECTIONS),
            kinds=read_names(fields, "kinds"),
            form=fields.choice("form", ("json", "text")),
            stats=fields.boolean("stats"),
        )


ModelOperation = (
    Matrix | Train | CrossValidate | Recall | Predict | History | Slice | Annotate | Inspect
)
"""The operations of this page."""
