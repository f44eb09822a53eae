"""What is publicly known of a node's result before anything runs: columns, types, row bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mc2.formats.schema import DataType, Schema
from mc2.plan.linear_models import Fit
from mc2.plan.models import Categories, Matrix, Train

NO_USEFUL_BOUND: Final = 1 << 62
"""Row bounds are exact integers below this and stay here above: a bound so large says nothing."""

MOST_ROWS: Final = 1 << 28
"""Rows for which oblivious mode makes room in one table."""


def capped(rows: int) -> int:
    """A row bound, or `NO_USEFUL_BOUND`."""
    return min(rows, NO_USEFUL_BOUND)


@dataclass(frozen=True, slots=True)
class TableShape:
    """A relation: its columns, and how many rows it has at most."""

    schema: Schema
    row_bound: int


@dataclass(frozen=True, slots=True)
class Feature:
    """A column that a model reads; of a categorical one all categories, if they are declared."""

    name: str
    type: DataType
    categorical: bool
    categories: Categories | None = None

    @property
    def kind(self) -> str:
        """The feature type as XGBoost's model file names it."""
        if self.categorical:
            return "c"
        if self.type.name == "boolean":
            return "i"
        return "int" if self.type.name.startswith("int") else "float"


@dataclass(frozen=True, slots=True)
class MatrixShape:
    """Rows for a model: its features, and the columns of its sources."""

    operation: Matrix
    features: tuple[Feature, ...]
    schema: Schema
    row_bound: int


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A model: how it is trained, on which features, and how many numbers it gives for a row.

    `rounds` are as many as it has at most. A `derived` model is a part of another one, or has
    other attributes; only the one that was trained has a history. `has_best` says that early
    stopping has told which round is best.
    """

    operation: Train
    features: tuple[Feature, ...]
    margins: int
    values: int
    rounds: int
    has_best: bool
    derived: bool = False

    @property
    def booster(self) -> str:
        """The word for the sort of booster."""
        found = self.operation.named_parameters.get("booster")
        return "gbtree" if found is None else str(found.value)


@dataclass(frozen=True, slots=True)
class LinearShape:
    """A linear model or centres of clusters: how it is fitted, on which features."""

    operation: Fit
    features: tuple[Feature, ...]


Shape = TableShape | MatrixShape | ModelShape | LinearShape
