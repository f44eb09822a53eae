"""The matrix of a plan: rows for a model, and what each of their columns is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, Final, Self

from mc2.errors import PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields, text_item
from mc2.formats.limits import LIMITS
from mc2.plan.literals import parse_float
from mc2.plan.noisy_edges import NoisyEdges
from mc2.plan.relations import read_names, read_node, read_nodes

_EDGES: Final = 65_536
_NAME: Final = 255
_NUMBER: Final = 64
_TEXT: Final = 1024
_CATEGORIES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Edges:
    """Public cuts of a feature: a value counts as the greatest edge that is not above it.

    Thresholds of a model can then lie at these edges only, and say nothing of the data between.
    """

    feature: str
    edges: tuple[str, ...]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The edges. Raises: PlanError if they are no rising numbers."""
        found = tuple(parse_float(e) for e in self.edges)
        if not found or any(not abs(e) < float("inf") for e in found):
            raise PlanError(f"the edges of {self.feature!r} are not numbers")
        if any(not a < b for a, b in pairwise(found)):
            raise PlanError(f"the edges of {self.feature!r} do not rise")
        return found


@dataclass(frozen=True, slots=True)
class Categories:
    """All categories that a feature has: names of texts in order, or how many numbers from 0 on."""

    feature: str
    names: tuple[str, ...] = ()
    count: int = 0

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.names) or self.count

    def json(self) -> Json:
        """The categories as canonical JSON has them."""
        return list(self.names) if self.names else self.count

    @classmethod
    def read(cls, name: str, value: Json) -> Self:
        """Read those of one feature. Raises: FormatError, PlanError."""
        fields = Fields({name: value}, "the categories of a matrix")
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(name, count=fields.integer(name, 1, _CATEGORIES))
        texts = text_item(f"a category of {name[:_NUMBER]}", lambda text, _: text[:_TEXT])
        names = fields.items(name, _CATEGORIES, texts)
        if not names or list(names) != sorted(set(names)):
            raise PlanError(f"the categories of {name[:60]!r} are not different texts in order")
        return cls(name, names)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows to train on or to predict: those of all sources, one after the other.

    Every source has all columns named here, with the same types. `features` are in the model's
    order. `categorical` are those features whose values are names, not amounts. `missing` is the
    number, in the plan's spelling of a double, that stands for an absent value beside NULL; it is
    `NaN` if there is none other. With a `group`, rows are put in its order first, equal ones as
    they stood. `lower_bound` and `upper_bound` hold the interval in which a survival time lies.
    `categories` are all that some of the categorical features have; another one fails the job.
    `more_labels` stand beside `label`, for models that give a number for each of them.
    `noisy` are features whose edges a training draws; until then their values stay as they are.
    """

    OP: ClassVar[str] = "matrix"

    sources: tuple[int, ...]
    features: tuple[str, ...]
    label: str | None = None
    weight: str | None = None
    categorical: tuple[str, ...] = ()
    missing: str = "NaN"
    base_margin: tuple[str, ...] = ()
    group: str | None = None
    lower_bound: str | None = None
    upper_bound: str | None = None
    feature_weights: tuple[str, ...] = ()
    edges: tuple[Edges, ...] = ()
    categories: tuple[Categories, ...] = ()
    more_labels: tuple[str, ...] = ()
    noisy: tuple[NoisyEdges, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in order."""
        return self.more_labels if self.label is None else (self.label, *self.more_labels)

    @property
    def amounts(self) -> tuple[str, ...]:
        """The columns that hold numbers for the training, beside the features."""
        others = (self.weight, self.lower_bound, self.upper_bound)
        return self.labels + tuple(n for n in others if n) + self.base_margin

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that a model reads of the rows."""
        return (*self.features, *self.amounts, *filter(None, (self.group,)))

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same over nodes with other places."""
        return replace(self, sources=tuple(places[s] for s in self.sources))

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "sources": list(self.sources),
            "features": list(self.features),
            "label": self.label,
            "weight": self.weight,
            "categorical": list(self.categorical),
            "missing": self.missing,
            "base_margin": list(self.base_margin),
            "group": self.group,
            "lower_bound": self.lower_bound,
            "upper_bound": self.upper_bound,
            "feature_weights": list(self.feature_weights),
            "edges": {
                **{e.feature: list(e.edges) for e in self.edges},
                **{e.feature: e.json() for e in self.noisy},
            },
            "categories": {c.feature: c.json() for c in self.categories},
            "more_labels": list(self.more_labels),
        }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Take the operation's fields. Raises: FormatError, PlanError."""

        def name(key: str) -> str | None:
            return fields.optional(key, lambda inner: fields.text(inner, _NAME))

        edges, noisy = _read_edges(fields)
        return cls(
            sources=read_nodes(fields, "sources"),
            features=read_names(fields, "features"),
            label=name("label"),
            weight=name("weight"),
            categorical=read_names(fields, "categorical"),
            missing=fields.text("missing", _NUMBER),
            base_margin=read_names(fields, "base_margin"),
            group=name("group"),
            lower_bound=name("lower_bound"),
            upper_bound=name("upper_bound"),
            feature_weights=read_texts(fields, "feature_weights"),
            edges=edges,
            categories=_read_categories(fields),
            more_labels=read_names(fields, "more_labels"),
            noisy=noisy,
        )


@dataclass(frozen=True, slots=True)
class SaidOfRows:
    """What a model says of each row of a matrix: a relation.

    Its columns are those of `keep`, taken from the matrix's sources, then what is said: `what`,
    under `name` (if that is several numbers, under `name_0`, `name_1`, …).
    """

    model: int
    matrix: int
    keep: tuple[str, ...] = ()
    name: str = "prediction"
    what: str = "value"

    @property
    def sources(self) -> tuple[int, ...]:
        """The nodes it reads."""
        return (self.model, self.matrix)

    def moved(self, places: Mapping[int, int]) -> Self:
        """The same over nodes with other places."""
        return replace(self, model=places[self.model], matrix=places[self.matrix])

    def json(self) -> dict[str, Json]:
        """The operation as canonical JSON has it."""
        return {
            "model": self.model,
            "matrix": self.matrix,
            "keep": list(self.keep),
            "name": self.name,
            "what": self.what,
        }

    @classmethod
    def read_said(cls, fields: Fields, said: tuple[str, ...]) -> Self:
        """Take these fields; `what` is one of `said`. Raises: FormatError."""
        return cls(
            model=read_node(fields, "model"),
            matrix=read_node(fields, "matrix"),
            keep=read_names(fields, "keep"),
            name=fields.text("name", _NAME),
            what=fields.choice("what", said),
        )


def read_texts(fields: Fields, name: str, most: int = LIMITS.columns) -> tuple[str, ...]:
    """A list of short texts. Raises: FormatError."""
    return fields.items(name, most, text_item(f"an item of {name}", lambda text, _: text[:_NUMBER]))


def _read_edges(fields: Fields) -> tuple[tuple[Edges, ...], tuple[NoisyEdges, ...]]:
    """Public edges are lists; noisy ones are objects."""
    value = fields.value("edges")
    if not isinstance(value, Mapping) or len(value) > LIMITS.columns:
        raise PlanError("the edges of a matrix are not an object")
    drawn = tuple(n for n in sorted(value) if isinstance(value[n], Mapping))
    named = {n: edges for n, edges in value.items() if n not in drawn}
    inner = Fields(named, "the edges of a matrix")
    public = tuple(Edges(n, read_texts(inner, n, _EDGES)) for n in sorted(named))
    return public, tuple(NoisyEdges.read(n, value[n]) for n in drawn)


def _read_categories(fields: Fields) -> tuple[Categories, ...]:
    value = fields.value("categories")
    if not isinstance(value, Mapping) or len(value) > LIMITS.columns:
        raise PlanError("the categories of a matrix are not an object")
    return tuple(Categories.read(name, value[name]) for name in sorted(value))
