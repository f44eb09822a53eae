"""Linear and logistic regression, k-means, and what they say of rows. Spec: docs/spec/plan.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from mc2.errors import PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.plan.literals import float_text, parse_float
from mc2.plan.matrices import SaidOfRows, read_texts
from mc2.plan.relations import read_node

FAMILIES: Final = ("linear", "logistic")
NO_COST: Final = "0.0"
MOST_CLASSES: Final = 256
SAID: Final = ("class", "cluster", "margin", "probability", "value")
MOST_ROUNDS: Final = 10_000
MOST_CLUSTERS: Final = 4096
MOST_STARTS: Final = 100
MOST_SEED: Final = 2**32 - 1
_GREATEST: Final = 1e30


def finite_text(text: str, what: str, least: float = -_GREATEST) -> str:
    """A number in its one spelling, neither infinite nor huge. Raises: PlanError."""
    number = parse_float(text)
    if float_text(number) != text or not least <= number <= _GREATEST:
        raise PlanError(f"{what} {text[:40]!r} is no number from {least:g} to {_GREATEST:g}")
    return text


@dataclass(frozen=True, slots=True)
class _Fit:
    """A model of one matrix."""

    matrix: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.matrix,)

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same over a node with another place."""
        return replace(self, matrix=places[self.matrix])


@dataclass(frozen=True, slots=True)
class FitLinear(_Fit):
    """A regression whose factors are found without anything that depends on the order of rows.

    `linear` makes `sum of w (y - f(x))^2 + penalty * sum of factors^2` least, `logistic` the sum
    of w times the logistic loss, plus `penalty` / 2 times the sum of squared factors; both plus
    `sparsity` times the sum of the factors' sizes. `per_weight` multiplies both by the sum of w.
    With an `intercept` there is a constant, which is not penalised. `rounds` bounds Newton's
    method; a regression that has not come to its end by then fails. A `logistic` one tells so many
    `classes` apart; beyond two each has factors of its own.
    """

    OP: ClassVar[str] = "fit_linear"

    family: str = "linear"
    penalty: str = NO_COST
    intercept: bool = True
    rounds: int = 100
    sparsity: str = NO_COST
    per_weight: bool = False
    classes: int = 2

    @property
    def is_multinomial(self) -> bool:
        """Whether each class has factors of its own."""
        return self.family == "logistic" and self.classes > 2

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "matrix": self.matrix,
            "family": self.family,
            "penalty": self.penalty,
            "intercept": self.intercept,
            "rounds": self.rounds,
            "sparsity": self.sparsity,
            "per_weight": self.per_weight,
            "classes": self.classes,
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""
        return cls(
            matrix=read_node(fields, "matrix"),
            family=fields.choice("family", FAMILIES),
            penalty=finite_text(fields.text("penalty", 64), "the penalty", 0.0),
            intercept=fields.boolean("intercept"),
            rounds=fields.integer("rounds", 1, MOST_ROUNDS),
            sparsity=finite_text(fields.text("sparsity", 64), "the sparsity", 0.0),
            per_weight=fields.boolean("per_weight"),
            classes=fields.integer("classes", 2, MOST_CLASSES),
        )


@dataclass(frozen=True, slots=True)
class FitClusters(_Fit):
    """k-means by Lloyd's algorithm: centres that no round moves any more, or after `rounds`.

    It starts from `centres`, the features of one after those of the other, or, if there are none,
    from rows drawn with `seed` by k-means++, `starts` times, of which the best end is kept.
    """

    OP: ClassVar[str] = "fit_clusters"

    clusters: int = 8
    rounds: int = 300
    seed: int = 0
    starts: int = 1
    centres: tuple[str, ...] = ()

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "matrix": self.matrix,
            "clusters": self.clusters,
            "rounds": self.rounds,
            "seed": self.seed,
            "starts": self.starts,
            "centres": list(self.centres),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""
        return cls(
            matrix=read_node(fields, "matrix"),
            clusters=fields.integer("clusters", 1, MOST_CLUSTERS),
            rounds=fields.integer("rounds", 1, MOST_ROUNDS),
            seed=fields.integer("seed", 0, MOST_SEED),
            starts=fields.integer("starts", 1, MOST_STARTS),
            centres=tuple(
                finite_text(text, "the coordinate")
                for text in read_texts(fields, "centres", 65_536)
            ),
        )


@dataclass(frozen=True, slots=True)
class Apply(SaidOfRows):
    """What such a model says of each row of a matrix.

    `what` is the `value` of a linear regression; the `probability` of class 1, the `class` or the
    `margin` of a logistic one; the number of the nearest centre, `cluster`. Of more than two
    classes each has a probability and a margin.
    """

    OP: ClassVar[str] = "apply"

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError."""
        return cls.read_said(fields, SAID)


Fit = FitLinear | FitClusters
"""What makes such a model."""

LinearOperation = FitLinear | FitClusters | Apply
"""The operations of this page."""
