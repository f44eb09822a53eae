"""`Booster` as scripts see it: a model that the enclave will train, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from mc2.errors import PlanError
from mc2.planner.columns import names_of, text_of
from mc2.planner.drafted import draft_of, node_of
from mc2.planner.matrices import DMatrix, kinds_of
from mc2.planner.tables import Table

if TYPE_CHECKING:
    from mc2.plan.plan import Operation
    from mc2.plan.shapes import ModelShape
    from mc2.planner.draft import Draft

_KINDS: Final = ("cover", "gain", "total_cover", "total_gain", "weight")


class Booster:
    """A model that the enclave will train: standard XGBoost, once it is released."""

    __slots__ = ("_draft", "_node")

    def __init__(self, draft: Draft, node: int) -> None:
        from mc2.planner.draft import Draft

        if not isinstance(draft, Draft):  # a script cannot have one
            raise PlanError("models come from xgboost.train")
        self._draft = draft
        self._node = node

    def predict(  # noqa: PLR0913 - stock XGBoost's arguments, and ours
        self,
        data: DMatrix,
        *,
        output_margin: bool = False,
        pred_leaf: bool = False,
        pred_contribs: bool = False,
        approx_contribs: bool = False,
        pred_interactions: bool = False,
        iteration_range: tuple[int, int] = (0, 0),
        validate_features: bool = True,
        strict_shape: bool = False,
        training: bool = False,
        rounds: str = "all",
        keep: Sequence[str] = (),
        name: str = "prediction",
    ) -> Table:
        """What the model says of each row, as a table.

        Its columns are those of `keep`, then the prediction under `name`: a number, or a list
        for leaves, contributions and interactions; `name_0`, `name_1`, … for several classes.
        Interactions stand row by row of their square. `rounds="best"` uses the trees up to the
        best round of early stopping. A table has one shape, whatever `strict_shape` says.
        Raises: PlanError.
        """
        if not isinstance(data, DMatrix):
            raise PlanError("predict takes a DMatrix", hint="DMatrix(table)")
        if training:
            raise PlanError("training=True is for loops of one's own, which a plan has none of")
        if not validate_features:
            raise PlanError("features are always checked, when the plan is made")
        del strict_shape
        asked = [
            what
            for what, wanted in (
                ("margin", output_margin),
                ("leaf", pred_leaf),
                ("contribs", pred_contribs),
                ("interactions", pred_interactions),
            )
            if wanted
        ]
        if len(asked) > 1:
            raise PlanError(
                "output_margin, pred_leaf, pred_contribs, pred_interactions exclude one another"
            )
        what = asked[0] if asked else "value"
        if approx_contribs:
            if what not in {"contribs", "interactions"}:
                raise PlanError("approx_contribs goes with pred_contribs or pred_interactions")
            what = f"approx_{what}"
        return self._predicted(data, what, iteration_range, rounds, keep, name)

    def predict_class(
        self,
        data: DMatrix,
        *,
        iteration_range: tuple[int, int] = (0, 0),
        rounds: str = "all",
        keep: Sequence[str] = (),
        name: str = "class",
    ) -> Table:
        """The most likely class of each row, by its number. Raises: PlanError."""
        if not isinstance(data, DMatrix):
            raise PlanError("predict takes a DMatrix", hint="DMatrix(table)")
        return self._predicted(data, "class", iteration_range, rounds, keep, name)

    def _predicted(
        self,
        data: DMatrix,
        what: str,
        span: object,
        rounds: str,
        keep: Sequence[str],
        name: str,
    ) -> Table:
        from mc2.plan.models import ROUNDS, Predict

        if rounds not in ROUNDS:
            raise PlanError(f"rounds= is none of {', '.join(ROUNDS)}")
        first, last = _range(span, self._rounds())
        operation = Predict(
            model=self._node,
            matrix=node_of(data),
            keep=names_of(keep, "keep", kinds_of(data)),
            name=text_of(name, "name"),
            what=what,
            rounds=rounds,
            first=first,
            last=last,
        )
        return self._table(operation)

    def rows(self, tables: Sequence[Table], **roles: Any) -> DMatrix:
        """The rows of tables with the features that the model was trained on.

        `roles` are more arguments of `DMatrix`, such as `qid` and `base_margin`.
        """
        from mc2.plan.literals import parse_float

        trained = self._draft.trained_on(self._node)
        return DMatrix(
            *tables,
            features=list(trained.features),
            categorical=list(trained.categorical),
            missing=parse_float(trained.missing),
            bin_edges={e.feature: list(e.numbers) for e in trained.edges} or None,
            **roles,
        )

    def history(self) -> Table:
        """The metrics of each round: a table of round, evaluation, metric and value.

        Raises: PlanError if the training had no `evals`.
        """
        from mc2.plan.models import History

        return self._table(History(self._node))

    def get_score(self, fmap: str = "", importance_type: str = "weight") -> Table:
        """How important each feature is: a table of importance, feature, output and score."""
        from mc2.plan.models import Inspect

        if fmap:
            raise PlanError("features have the names of their columns: there is no fmap")
        wanted = _KINDS if importance_type == "all" else (text_of(importance_type, "a type"),)
        return self._table(Inspect(self._node, "importance", wanted))

    def get_fscore(self, fmap: str = "") -> Table:
        """How often trees split by each feature."""
        return self.get_score(fmap, "weight")

    def get_dump(
        self, fmap: str = "", *, with_stats: bool = False, dump_format: str = "text"
    ) -> Table:
        """Each tree as text or JSON: a table of tree and text."""
        from mc2.plan.models import Inspect

        if fmap:
            raise PlanError("features have the names of their columns: there is no fmap")
        if dump_format not in {"json", "text"}:
            raise PlanError("dump_format is json or text")
        return self._table(Inspect(self._node, "dump", (), dump_format, bool(with_stats)))

    def trees_to_dataframe(self) -> Table:
        """The nodes of all trees, one a row, with stock XGBoost's columns in small letters."""
        return self._inspected("trees")

    def get_split_value_histogram(self) -> Table:
        """How often trees split where: a table of feature, split and count."""
        return self._inspected("splits")

    def attributes(self) -> Table:
        """The attributes of the model: a table of name and value."""
        return self._inspected("attributes")

    def summary(self) -> Table:
        """One row: num_boosted_rounds, num_features, best_iteration, best_score."""
        return self._inspected("rounds")

    def set_attr(self, **attributes: str | None) -> None:
        """Write attributes into the model's file, for those who read it. Raises: PlanError."""
        from mc2.plan.models import Annotate

        if not attributes or not all(isinstance(v, str) for v in attributes.values()):
            raise PlanError("an attribute of a model is a text")
        written = tuple(sorted((n, str(v)) for n, v in attributes.items()))
        self._node = self._draft.add(Annotate(self._node, written))

    def copy(self) -> Booster:
        """The same model, to set other attributes of."""
        return Booster(self._draft, self._node)

    def __getitem__(self, span: object) -> Booster:
        from mc2.plan.models import Slice

        if isinstance(span, int) and not isinstance(span, bool):
            span = slice(span, span + 1)
        if not isinstance(span, slice):
            raise PlanError("a part of a model is taken by numbers of rounds", hint="model[0:10]")
        step = 1 if span.step is None else span.step
        if isinstance(step, bool) or not isinstance(step, int) or step < 1:
            raise PlanError("the step between rounds is a number from 1")
        first = 0 if span.start is None else span.start
        last = self._rounds() if span.stop is None else span.stop
        for number in (first, last):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise PlanError("rounds are counted from 0, and from the start")
        return Booster(self._draft, self._draft.add(Slice(self._node, first, last, step)))

    @property
    def feature_names(self) -> list[str]:
        """The names of the features, in the model's order."""
        return [f.name for f in shape_of_model(self).features]

    def num_features(self) -> int:
        """How many features it has."""
        return len(shape_of_model(self).features)

    @property
    def best_iteration(self) -> int:
        """Only the enclave knows. Raises: PlanError."""
        raise PlanError(
            "only the enclave knows which round is best",
            hint='predict(..., rounds="best"), or release summary()',
        )

    def num_boosted_rounds(self) -> int:
        """Only the enclave knows, after early stopping. Raises: PlanError."""
        if shape_of_model(self).has_best:
            raise PlanError("only the enclave knows when it stopped", hint="release summary()")
        return self._rounds()

    def save_model(self, fname: str) -> None:
        """Models are saved at home. Raises: PlanError."""
        del fname
        raise PlanError("a script writes no files", hint='job.release("model", model, to=[...])')

    def _rounds(self) -> int:
        return shape_of_model(self).rounds

    def _inspected(self, what: str) -> Table:
        from mc2.plan.models import Inspect

        return self._table(Inspect(self._node, what))

    def _table(self, operation: Operation) -> Table:
        return Table(self._draft, self._draft.add(operation))

    def __repr__(self) -> str:
        return "Booster()"


def shape_of_model(model: Booster) -> ModelShape:
    """What the plan knows of a model. Raises: PlanError if its node is none."""
    from mc2.plan.shapes import ModelShape

    shape = draft_of(model).shape(node_of(model))
    if not isinstance(shape, ModelShape):
        raise PlanError("models come from xgboost.train")
    return shape


def _range(span: object, rounds: int) -> tuple[int, int]:
    """The first round and the one after the last; (0, 0) for all, as in stock XGBoost."""
    if not isinstance(span, (tuple, list)) or len(span) != 2:
        raise PlanError("iteration_range is a pair of rounds", hint="iteration_range=(0, 10)")
    for number in span:
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise PlanError("iteration_range is a pair of numbers from 0")
    first, last = span
    if first and not last:
        last = rounds
    return first, last
