"""Secret models to the files in which they are kept, and back: nothing looks at a value of them.

How long a file is follows from what is public of a model: parameters, features, cuts and rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.formats.secret_model import Array, SecretModelFile
from mc2.ml.boosted_trees import SecretModel, SecretTree, trees_of
from mc2.ml.boosting import Trained
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.linear_tables import SecretNumbers, numbers_of
from mc2.ml.secret_matrix import Feature, SecretCuts, cuts_of
from mc2.plan.literals import float_text, parse_float
from mc2.plan.training import BOOST_ROUNDS

TREES: Final = "trees"
NUMBERS: Final = "numbers"
_KINDS: Final[Mapping[str, str]] = {
    "features": "u4", "thresholds": "u1", "flags": "u1", "gains": "f8", "totals": "i8",
    "leaf_sums": "i8", "leaves": "f4", "units": "f8",
}  # fmt: skip
_MOST_CUTS: Final = 255
_ROUND: Final = 64


def store_trees(trained: Trained) -> bytes:
    """The file of boosted trees."""
    trees, cuts = trees_of(trained.model), cuts_of(trained.model.cuts)
    score = trained.best_score
    public: dict[str, Json] = {
        "rates": [float_text(t.rate) for t in trees],
        "best_round": trained.best_round,
        "best_score": None if score is None else float_text(score),
    }
    stacked = {n: np.stack([getattr(t, n) for t in trees]) for n in _KINDS}
    return SecretModelFile(TREES, public, {"cuts": cuts, **stacked}).raw()


def load_trees(
    raw: bytes, parameters: BoostingParameters, features: tuple[Feature, ...], rounds: int
) -> Trained:
    """A kept model of at most so many rounds. Raises: FormatError if the file has another one."""
    file = SecretModelFile.read(raw)
    if file.family != TREES:
        raise FormatError("a kept model has no trees")
    public = Fields(file.public, "what is public of a kept model")
    rates = public.items("rates", BOOST_ROUNDS, _rate)
    best = public.optional("best_round", lambda n: public.integer(n, 0, BOOST_ROUNDS))
    score = public.optional("best_score", lambda n: parse_float(public.text(n, _ROUND)))
    public.done()
    count, inner = len(rates), (1 << parameters.max_depth) - 1
    if count % parameters.classes or not 0 < count <= rounds * parameters.classes:
        raise FormatError("a kept model has other rounds than the plan says")
    widths = {"totals": 2 * inner, "leaf_sums": 2 * (inner + 1), "leaves": inner + 1, "units": 2}
    arrays = {n: file.array(n, k, count, widths.get(n, inner)) for n, k in _KINDS.items()}
    cuts = file.arrays.get("cuts", np.empty(0))
    if cuts.ndim != 2 or cuts.shape[1] > _MOST_CUTS:
        raise FormatError("a kept model has more cuts than there are bins")
    cuts = file.array("cuts", "f4", len(features), cuts.shape[1])
    trees = tuple(
        SecretTree(**{n: a[place].copy() for n, a in arrays.items()}, rate=rate)
        for place, rate in enumerate(rates)
    )
    model = SecretModel(parameters, SecretCuts(features, cuts), trees)
    return Trained(model, best_round=best, best_score=score)


def _rate(value: Json) -> float:
    return parse_float(Fields({"rate": value}, "a learning rate").text("rate", _ROUND))


def store_numbers(model: SecretNumbers) -> bytes:
    """The file of a linear model or of centres."""
    numbers, inertia = numbers_of(model)
    return SecretModelFile(NUMBERS, {}, {"numbers": numbers, "inertia": inertia}).raw()


def load_numbers(raw: bytes, *shape: int) -> SecretNumbers:
    """A kept linear model or centres. Raises: FormatError if the file has another shape."""
    file = SecretModelFile.read(raw)
    if file.family != NUMBERS or file.public:
        raise FormatError("a kept model has no factors")
    numbers: Array = file.array("numbers", "f8", *shape)
    return SecretNumbers(numbers, file.array("inertia", "f8", 1))
