"""Files of linear models and centres of clusters. Spec: docs/spec/linear-model.md.

They are plain JSON for anyone's reader, with numbers as they are; nothing signs or names them, so
they need no canonical form.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from mc2.errors import FormatError

TYPE: Final = "mc2/linear-model/v1"
REGRESSIONS: Final = ("linear", "logistic")
MULTINOMIAL: Final = "multinomial"
CLUSTERS: Final = "k-means"
_BYTES: Final = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RegressionFile:
    """A regression: `family`, and a factor for each feature."""

    family: str
    features: tuple[str, ...]
    factors: tuple[float, ...]
    constant: float
    penalty: float
    sparsity: float = 0.0
    per_weight: bool = False

    def raw(self) -> bytes:
        """The file."""
        return _written(
            {
                "family": self.family,
                "features": list(self.features),
                "factors": list(self.factors),
                "constant": self.constant,
                "penalty": self.penalty,
                "sparsity": self.sparsity,
                "per_weight": self.per_weight,
            }
        )


@dataclass(frozen=True, slots=True)
class MultinomialFile:
    """A logistic regression over several classes: for each a factor for each feature."""

    features: tuple[str, ...]
    factors: tuple[tuple[float, ...], ...]
    constants: tuple[float, ...]
    penalty: float
    sparsity: float = 0.0
    per_weight: bool = False

    def raw(self) -> bytes:
        """The file."""
        return _written(
            {
                "family": MULTINOMIAL,
                "features": list(self.features),
                "factors": [list(f) for f in self.factors],
                "constants": list(self.constants),
                "penalty": self.penalty,
                "sparsity": self.sparsity,
                "per_weight": self.per_weight,
            }
        )


@dataclass(frozen=True, slots=True)
class ClustersFile:
    """Centres of clusters, a number for each feature in each, and the sum of squared distances."""

    features: tuple[str, ...]
    centres: tuple[tuple[float, ...], ...]
    inertia: float

    def raw(self) -> bytes:
        """The file."""
        return _written(
            {
                "family": CLUSTERS,
                "features": list(self.features),
                "centres": [list(c) for c in self.centres],
                "inertia": self.inertia,
            }
        )


def _written(value: dict[str, Any]) -> bytes:
    text = json.dumps(
        {"type": TYPE, **value}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    return text.encode()


LinearFile = RegressionFile | MultinomialFile | ClustersFile
"""A file of some kind."""


def read_linear_model(raw: bytes) -> LinearFile:
    """Read a file of any kind. Raises: FormatError."""
    try:
        value = json.loads(raw) if len(raw) <= _BYTES else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or value.get("type") != TYPE:
        raise FormatError("this is no file of a linear model or of clusters")
    family, features = value.get("family"), value.get("features")
    if not isinstance(features, list) or not all(isinstance(f, str) for f in features):
        raise FormatError("the features of a model are not names")
    names = tuple(features)
    if family == CLUSTERS and set(value) == {"type", "family", "features", "centres", "inertia"}:
        centres = value["centres"]
        if not isinstance(centres, list) or not centres:
            raise FormatError("a model of clusters has no centres")
        rows = tuple(_numbers(c, len(names)) for c in centres)
        return ClustersFile(names, rows, *_numbers([value["inertia"]], 1))
    known = {"type", "family", "features", "factors", "penalty", "sparsity", "per_weight"}
    if family in REGRESSIONS and set(value) == {*known, "constant"}:
        factors = _numbers(value["factors"], len(names))
        (constant,) = _numbers([value["constant"]], 1)
        return RegressionFile(family, names, factors, constant, *_cost(value))
    if family == MULTINOMIAL and set(value) == {*known, "constants"}:
        given = value["factors"] if isinstance(value["factors"], list) else []
        every = tuple(_numbers(row, len(names)) for row in given)
        if len(every) <= 2:
            raise FormatError("a model of several classes has no factors for them")
        constants = _numbers(value["constants"], len(every))
        return MultinomialFile(names, every, constants, *_cost(value))
    raise FormatError("a linear model has other fields than its family's")


def _cost(value: dict[str, Any]) -> tuple[float, float, bool]:
    """What a regression's factors cost when it was fitted."""
    if not isinstance(value["per_weight"], bool):
        raise FormatError("a model does not say whether its penalties were per weight")
    penalty, sparsity = _numbers([value["penalty"], value["sparsity"]], 2)
    return penalty, sparsity, value["per_weight"]


def _numbers(values: object, count: int) -> tuple[float, ...]:
    items: Sequence[object] = values if isinstance(values, list) else ()
    found = tuple(
        float(v) for v in items if isinstance(v, (int, float)) and not isinstance(v, bool)
    )
    if len(items) != count or len(found) != count or not all(map(math.isfinite, found)):
        raise FormatError("a model has not one number for each feature")
    return found
