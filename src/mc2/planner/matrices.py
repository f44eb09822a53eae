"""`DMatrix` as scripts see it: rows of tables, and what each of their columns is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mc2.errors import PlanError
from mc2.planner.columns import check_column, columns_of_all, names_of
from mc2.planner.drafted import draft_of, node_of
from mc2.planner.tables import Table

if TYPE_CHECKING:  # `import mc2` stays light
    from mc2.formats.schema import DataType
    from mc2.plan.models import Categories, Edges
    from mc2.plan.noisy_edges import NoisyEdges
    from mc2.planner.draft import Draft

_NOISY = {"low", "high", "cells", "edges", "epsilon"}
_REFUSED = {
    "group": 'qid="column" says which rows belong together',
    "nthread": "the number of threads is the engine's, and changes no result",
    "silent": "nothing is printed inside an enclave",
    "data_split_mode": "join the columns of several owners in SQL",
}
_ROLES = ("label", "weight", "qid", "label_lower_bound", "label_upper_bound")
_TYPES = ("c", "float", "i", "int", "q")


class DMatrix:
    """The rows of one or several tables, to train on or to predict.

    Several tables with the same columns stand one below the other. Columns are given by name:
    `label` (one, or several for a model that gives a number for each), `weight`, `base_margin`
    (one, or one for each class or label), `qid` (rows with the same one are ranked among one
    another; rows are put in its order), `label_lower_bound` and `label_upper_bound`
    (survival times; an upper bound that is NULL says that nobody knows).
    `features` are all columns but those, and those of `exclude`, unless they are listed;
    `feature_names` is another word for it. `categorical` names the features whose values are
    names and not amounts; so does "c" in `feature_types`, and `enable_categorical` makes all
    features of text categorical. `missing` is a number that means "no value", beside NULL.
    `feature_weights` maps features to the weights with which `colsample_*` draws them.
    `categories` maps categorical features to all that they have, which everybody then knows: names
    for text, a number of codes (0, 1, ...) for integers; oblivious mode needs them.
    `bin_edges` maps features to public numbers: a value counts as the greatest of them that is
    not above it, so that thresholds of a model lie there only. Instead of numbers,
    `{"low": 0, "high": 100, "cells": 256, "edges": 32, "epsilon": 0.5}` has at most 32 edges drawn
    at each training, with `public_thresholds=True`: quantiles of noisy counts of rows in cells.

    Raises: PlanError if a column is not there, or cannot be used so.
    """

    __slots__ = ("_draft", "_node")

    def __init__(  # noqa: PLR0913 - as many as stock XGBoost's class has
        self,
        *tables: Table | Sequence[Table],
        label: str | Sequence[str] | None = None,
        weight: str | None = None,
        base_margin: str | Sequence[str] | None = None,
        missing: float | None = None,
        feature_names: Sequence[str] | None = None,
        feature_types: Sequence[str] | None = None,
        qid: str | None = None,
        label_lower_bound: str | None = None,
        label_upper_bound: str | None = None,
        feature_weights: Mapping[str, float] | None = None,
        enable_categorical: bool = False,
        features: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        categorical: Sequence[str] = (),
        categories: Mapping[str, Sequence[str] | int] | None = None,
        bin_edges: Mapping[str, Sequence[float] | Mapping[str, float]] | None = None,
        **others: object,
    ) -> None:
        from mc2.plan.models import Matrix

        _refuse(others)
        given = _tables(tables)
        columns = columns_of_all(given)
        first, more = _labels(label, columns)
        single = (first, weight, qid, label_lower_bound, label_upper_bound)
        for what, column in zip(_ROLES, single, strict=True):
            check_column(column, what, columns)
        margins = (base_margin,) if isinstance(base_margin, str) else base_margin or ()
        margins = names_of(margins, "base_margin", columns)
        left_out = {*single, *more, *margins, *names_of(exclude, "exclude", columns)}
        used = _used(features, feature_names, columns, left_out)
        known = _categories(categories)
        named = {c.feature for c in known}.union(
            (n for n in used if enable_categorical is True and columns[n].name == "string"),
            names_of(categorical, "categorical", columns),
            _typed(feature_types, used),
        )
        _check_features(named, used)
        self._draft: Draft = draft_of(given[0])
        operation = Matrix(
            sources=tuple(node_of(t) for t in given),
            features=used,
            label=first,
            more_labels=more,
            weight=weight,
            categorical=tuple(n for n in used if n in named),
            missing=_missing(missing),
            base_margin=margins,
            group=qid,
            lower_bound=label_lower_bound,
            upper_bound=label_upper_bound,
            feature_weights=_weights(feature_weights, used),
            edges=_edges(bin_edges, used),
            noisy=_noisy(bin_edges),
            categories=known,
        )
        self._node = self._draft.add(operation)

    @property
    def feature_names(self) -> list[str]:
        """The names of the features, in the model's order."""
        from mc2.plan.shapes import MatrixShape

        shape = self._draft.shape(self._node)
        return [f.name for f in shape.features] if isinstance(shape, MatrixShape) else []

    def num_col(self) -> int:
        """How many features it has."""
        return len(self.feature_names)

    def num_row(self) -> int:
        """No script knows how many rows there are. Raises: PlanError."""
        raise PlanError(
            "only the enclave knows how many rows there are",
            hint='job.sql("SELECT count(*) AS n FROM {t}", t=table) can be released',
        )

    def __repr__(self) -> str:
        return "DMatrix()"


def _tables(values: Sequence[object]) -> tuple[Table, ...]:
    flat: list[object] = []
    for value in values:
        flat.extend(value if isinstance(value, (list, tuple)) else [value])
    from mc2.planner.dataframes import DataFrame
    from mc2.planner.draft import current_draft

    draft = current_draft()
    if draft is not None:
        flat = [Table(draft, v.node()) if isinstance(v, DataFrame) else v for v in flat]
    found = tuple(v for v in flat if isinstance(v, Table))
    if not found or len(found) != len(flat):
        raise PlanError("a DMatrix is made of tables", hint='DMatrix(job.table("party.table"))')
    return found


def _labels(label: object, columns: Mapping[str, DataType]) -> tuple[str | None, tuple[str, ...]]:
    """The first label, and those beside it."""
    if label is None or isinstance(label, str):
        return label, ()
    found = names_of(label, "label", columns)
    return (found[0], found[1:]) if found else (None, ())


def _used(
    features: Sequence[str] | None,
    feature_names: Sequence[str] | None,
    columns: Mapping[str, DataType],
    left_out: set[str | None],
) -> tuple[str, ...]:
    """The features: those that are listed, or all columns that are nothing else."""
    if features is not None and feature_names is not None:
        raise PlanError("features= and feature_names= are two words for one thing")
    chosen = feature_names if features is None else features
    if chosen is not None:
        return names_of(chosen, "features", columns)
    return tuple(n for n in columns if n not in left_out)


def _check_features(categorical: set[str], features: Sequence[str]) -> None:
    for name in sorted(categorical.difference(features)):
        raise PlanError(f"the categorical column {name!r} is no feature")


def _refuse(others: Mapping[str, object]) -> None:
    for name in others:
        raise PlanError(f"DMatrix takes no {name}= here", hint=_REFUSED.get(name, ""))


def _missing(value: object) -> str:
    from mc2.plan.literals import float_text

    if value is None:
        return float_text(float("nan"))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PlanError("missing= is a number")
    return float_text(float(value))


def _typed(types: object, features: Sequence[str]) -> set[str]:
    """The features that `feature_types` makes categorical; the other types follow from columns."""
    if types is None:
        return set()
    if not isinstance(types, (list, tuple)) or len(types) != len(features):
        raise PlanError("feature_types= is a list with one type for each feature")
    for kind in types:
        if kind not in _TYPES:
            raise PlanError(f"a feature's type is one of {', '.join(_TYPES)}")
    return {name for name, kind in zip(features, types, strict=True) if kind == "c"}


def _numbers(values: object, what: str) -> list[float]:
    items = values if isinstance(values, (list, tuple)) else [None]
    found = [float(i) for i in items if isinstance(i, (int, float)) and not isinstance(i, bool)]
    if len(found) != len(items):
        raise PlanError(f"{what} are numbers")
    return found


def _weights(values: object, features: Sequence[str]) -> tuple[str, ...]:
    from mc2.plan.literals import float_text

    if values is None:
        return ()
    if not isinstance(values, dict) or set(values) != set(features):
        raise PlanError("feature_weights= maps each feature to a number")
    return tuple(float_text(n) for n in _numbers([values[f] for f in features], "feature_weights"))


def _edges(values: object, features: Sequence[str]) -> tuple[Edges, ...]:
    from mc2.plan.literals import float_text
    from mc2.plan.models import Edges

    if values is None:
        return ()
    if not isinstance(values, dict) or not all(n in features for n in values):
        raise PlanError("bin_edges= maps features to lists of rising numbers")
    return tuple(
        Edges(n, tuple(float_text(e) for e in _numbers(values[n], "bin_edges")))
        for n in sorted(values)
        if not isinstance(values[n], dict)
    )


def _noisy(values: object) -> tuple[NoisyEdges, ...]:
    from mc2.plan.literals import float_text
    from mc2.plan.noisy_edges import NoisyEdges

    given = values if isinstance(values, dict) else {}
    found = []
    for name in sorted(n for n in given if isinstance(given[n], dict)):
        said = given[name]
        whole = (said.get("cells"), said.get("edges"))
        if set(said) != _NOISY or any(type(n) is not int for n in whole):
            raise PlanError(
                f"the noisy edges of {name!r} have not low, high, cells, edges and epsilon",
                hint='{"low": 0, "high": 100, "cells": 256, "edges": 32, "epsilon": 0.5}',
            )
        numbers = _numbers([said["low"], said["high"], said["epsilon"]], "bin_edges")
        low, high, epsilon = map(float_text, numbers)
        found.append(NoisyEdges(name, low, high, said["cells"], said["edges"], epsilon))
    return tuple(found)


def _categories(values: object) -> tuple[Categories, ...]:
    from mc2.plan.models import Categories

    if values is None:
        return ()
    if not isinstance(values, dict):
        raise PlanError("categories= maps features to names, or to how many codes there are")
    found = []
    for name in sorted(values):
        given = values[name]
        if isinstance(given, int) and not isinstance(given, bool) and given > 0:
            found.append(Categories(name, count=given))
        elif isinstance(given, (list, tuple)) and given and all(isinstance(v, str) for v in given):
            found.append(Categories(name, tuple(sorted(set(given)))))
        else:
            raise PlanError(
                f"the categories of {name!r} are no list of names, and no number of codes",
                hint='categories={"ward": ["A", "B"], "kind": 5}',
            )
    return tuple(found)


def kinds_of(matrix: DMatrix) -> dict[str, DataType]:
    """The columns of the sources of a matrix, with their types."""
    from mc2.plan.shapes import MatrixShape

    shape = draft_of(matrix).shape(node_of(matrix))
    if not isinstance(shape, MatrixShape):
        return {}
    return {c.name: c.type for c in shape.schema.columns}
