"""What is known of a kept model before it is there: enough to type what it says of rows.

Spec: docs/spec/plan.md, section "Kept models".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from mc2.errors import FormatError, PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.schema import Column, Schema
from mc2.plan.linear_models import Fit, FitClusters, FitLinear
from mc2.plan.matrices import Matrix
from mc2.plan.shapes import Feature, LinearShape, ModelShape
from mc2.plan.training import BOOST_ROUNDS, Train

_MARGINS: Final = 1_000_000
_MODES: Final = ("encrypted", "oblivious")
_LEARNERS: Final[Mapping[str, type[Train | FitLinear | FitClusters]]] = {
    kind.OP: kind for kind in (Train, FitLinear, FitClusters)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """How a model was made, and what it gives.

    `operation` is the training, less all that says nothing of how the model predicts: matrices,
    evaluations, early stopping, learning rates, formulas. `matrix` has the features, what
    counts as missing, which edges there were and which categories were declared; `features` are
    their types. `margins` and `values` are how many numbers it gives for a row, `rounds` how many
    it has at most, and `has_best` says whether early stopping told the best. Linear models and
    clusters have one number and no rounds. `mode` is that of the plan that kept it: what a job in
    mode `oblivious` kept can be read without looking at it.
    """

    operation: Train | Fit
    matrix: Matrix
    features: Schema
    margins: int
    values: int
    rounds: int
    has_best: bool
    mode: str = "encrypted"

    def __post_init__(self) -> None:
        if self.operation != _bare(self.operation) or self.matrix != _bare_matrix(self.matrix):
            raise FormatError("the facts of a kept model say more than how it predicts")
        if self.features.names != self.matrix.features or any(
            c.nullable for c in self.features.columns
        ):
            raise FormatError("the features of a kept model are not those of its matrix")
        if tuple(c.feature for c in self.matrix.categories) != tuple(
            sorted(self.matrix.categorical)
        ):
            raise FormatError("a kept model has categories that nobody declared")
        linear = not isinstance(self.operation, Train)
        if linear and (self.margins, self.values, self.rounds, self.has_best) != (1, 1, 0, False):
            raise FormatError("a kept linear model has one number a row, and no rounds")

    @property
    def shape(self) -> ModelShape | LinearShape:
        """The shape of the model. It counts as derived: it has no history."""
        known = {c.feature: c for c in self.matrix.categories}
        features = tuple(
            Feature(c.name, c.type, c.name in known, known.get(c.name))
            for c in self.features.columns
        )
        if not isinstance(self.operation, Train):
            return LinearShape(self.operation, features)
        return ModelShape(
            self.operation,
            features,
            self.margins,
            self.values,
            self.rounds,
            self.has_best,
            derived=True,
        )

    def json(self) -> dict[str, Json]:
        """The facts as canonical JSON has them."""
        return {
            "operation": {"op": self.operation.OP, **self.operation.json()},
            "matrix": self.matrix.json(),
            "features": self.features.json(),
            "margins": self.margins,
            "values": self.values,
            "rounds": self.rounds,
            "has_best": self.has_best,
            "mode": self.mode,
        }

    @classmethod
    def read(cls, value: Json) -> Self:
        """Read the facts. Raises: FormatError, PlanError."""
        fields = Fields(value, "the facts of a kept model")
        found = cls(
            operation=_read_operation(fields.fields("operation")),
            matrix=_read_matrix(fields.fields("matrix")),
            features=Schema.read(fields.value("features")),
            margins=fields.integer("margins", 1, _MARGINS),
            values=fields.integer("values", 1, _MARGINS),
            rounds=fields.integer("rounds", 0, BOOST_ROUNDS * BOOST_ROUNDS),
            has_best=fields.boolean("has_best"),
            mode=fields.choice("mode", _MODES),
        )
        fields.done()
        return found


def _read_operation(fields: Fields) -> Train | Fit:
    found = _LEARNERS[fields.choice("op", tuple(_LEARNERS))].read(fields)
    fields.done()
    return found


def _read_matrix(fields: Fields) -> Matrix:
    found = Matrix.read(fields)
    fields.done()
    return found


def facts_of(shape: ModelShape | LinearShape, matrix: Matrix, mode: str) -> ModelFacts:
    """The facts of a model that a plan of this mode is to keep, and whose matrix this was.

    Raises: PlanError if it cannot be kept.
    """
    for feature in shape.features:
        if feature.categorical and feature.categories is None:
            raise PlanError(
                f"nobody declares the categories of {feature.name!r}, so the model cannot be kept",
                hint="name them: DMatrix(..., categories={feature: [names]}), or a number of codes",
            )
    boosted = shape if isinstance(shape, ModelShape) else None
    return ModelFacts(
        operation=_bare(shape.operation),
        matrix=_bare_matrix(matrix),
        features=_features(shape.features),
        margins=1 if boosted is None else boosted.margins,
        values=1 if boosted is None else boosted.values,
        rounds=0 if boosted is None else boosted.rounds,
        has_best=False if boosted is None else boosted.has_best,
        mode=mode,
    )


def _features(features: Sequence[Feature]) -> Schema:
    return Schema(tuple(Column(f.name, f.type, nullable=False) for f in features))


def _bare(operation: Train | Fit) -> Train | Fit:
    if isinstance(operation, Train):
        return Train(
            0, operation.parameters, operation.num_boost_round, controls=operation.controls
        )
    return replace(operation, matrix=0)


def _bare_matrix(matrix: Matrix) -> Matrix:
    return Matrix(
        sources=(0,),
        features=matrix.features,
        categorical=matrix.categorical,
        missing=matrix.missing,
        edges=matrix.edges,
        categories=matrix.categories,
    )
