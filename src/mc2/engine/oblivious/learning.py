"""Models in oblivious plans: matrices, trainings, predictions and histories.

A matrix keeps its tables: rows are put into bins by the cuts of the model that reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, Protocol

import numpy as np

from mc2.engine.oblivious.noisy_edges import draw_edges
from mc2.engine.oblivious.predictions import check_rounds, predicted, rounds_to_ask
from mc2.engine.oblivious.validating import validate
from mc2.engine.outputs import ModelOutput
from mc2.errors import EngineError, FormatError
from mc2.formats.schema import Schema
from mc2.formats.worker_progress import round_trained
from mc2.ml import boosted_trees, boosting
from mc2.ml.boosting import PUBLIC, SECRET, Trained, Training
from mc2.ml.boosting_dealt import DealtSets
from mc2.ml.boosting_leaves import LeafRules, check_leaves
from mc2.ml.boosting_parameters import BoostingParameters
from mc2.ml.boosting_tables import Roles, cuts_of_tables, matrices_of_tables
from mc2.ml.boosting_together import Recipe
from mc2.ml.boosting_watch import LAST, Watched
from mc2.ml.kept_models import load_trees, store_trees
from mc2.ml.secret_matrix import SecretCuts, SecretMatrix
from mc2.operators.constants import column_of_values
from mc2.operators.elements import fitted_columns
from mc2.operators.handles import SecretMarks, SecretTable, layout_of
from mc2.operators.ordering import union_all
from mc2.operators.run import Run as Trace
from mc2.plan.drawn_edges import drawn_matrices
from mc2.plan.facts import Facts
from mc2.plan.literals import parse_float
from mc2.plan.models import Annotate, CrossValidate, History, Matrix, Predict, Slice
from mc2.plan.oblivious_models import has_history, is_released
from mc2.plan.plan import Plan
from mc2.plan.relations import Scan
from mc2.plan.shapes import ModelShape
from mc2.plan.training import Stopping, Train

KEY_BYTES: Final = 32
KEEP_AGAIN: Final = "run the job that keeps it again"
NO_ATTRIBUTES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows of a matrix: tables one after the other, and what their columns are for."""

    roles: Roles
    tables: tuple[SecretTable, ...]
    places: int
    """As many as all rows have at most, wherever they are computed."""

    @property
    def filled(self) -> list[SecretTable]:
        """The tables that have places."""
        return [t for t in self.tables if t.rows]


class Together(Protocol):
    """Trains some models of a plan over several enclaves, which read their rows themselves."""

    @property
    def nodes(self) -> Collection[int]:
        """The trainings."""
        ...

    def train(
        self, index: int, recipe: Recipe, trace: Trace, key: bytes, tell: Callable[[int], None]
    ) -> Trained:
        """The model of a training, as one enclave would train it; `tell` hears of each round."""
        ...

    def deals(self, index: int, recipe: Recipe, rows: int) -> bool:
        """Whether rows of so many places, which are here, are dealt out to be trained on."""
        ...

    def train_dealt(  # what a training has
        self,
        index: int,
        recipe: Recipe,
        trace: Trace,
        key: bytes,
        sets: DealtSets,
        tell: Callable[[int], None],
    ) -> Trained:
        """As `train`, of rows that are here."""
        ...


def roles_of(operation: Matrix) -> Roles:
    """What the columns of a matrix are for, before edges are drawn."""
    most = max((len(e.numbers) for e in operation.edges), default=0)
    return Roles(
        operation.features,
        operation.label,
        operation.weight,
        parse_float(operation.missing),
        {e.feature: e.numbers for e in operation.edges},
        {c.feature: c.names or c.count for c in operation.categories},
        drawn=max((most, *(n.edges for n in operation.noisy))) if operation.noisy else 0,
    )


def recipe_of(plan: Plan, index: int, operation: Train) -> Recipe:
    """What a training of a plan does. Raises: TypeError if its node reads no matrix."""
    matrix, stopping = plan.nodes[operation.matrix].operation, operation.stopping
    if not isinstance(matrix, Matrix):
        raise TypeError("trainings read matrices")
    roles = roles_of(matrix)
    given = {p.name: p.value for p in operation.parameters}
    told = stopping is not None or has_history(plan.nodes, index)
    return Recipe(
        roles,
        BoostingParameters.read(given, roles.features),
        Training(
            operation.num_boost_round,
            PUBLIC if is_released(plan.outputs, index) else SECRET,
            None if stopping is None else stopping.rounds,
            resumable=operation.dropout is not None,
            watched=LAST if stopping is None else _watched(stopping),
            learning_rates=tuple(map(parse_float, operation.learning_rates)),
        ),
        tuple(e.name for e in operation.evaluations) if told else (),
    )


def _watched(stopping: Stopping) -> Watched:
    return Watched(
        stopping.evaluation, stopping.metric, parse_float(stopping.min_delta), stopping.maximize
    )


class Learner:
    """The matrices and models of one run. `key` (32 bytes) is secret, and of this job alone.

    What `together` names is trained there, and needs no rows here.
    """

    def __init__(
        self,
        trace: Trace,
        plan: Plan,
        key: bytes,
        progress: Callable[[str], None],
        together: Together | None = None,
    ) -> None:
        self._trace, self._plan, self._key, self._progress = trace, plan, key, progress
        self._together = together
        self._matrices: dict[int, _Rows] = {}
        self._models: dict[int, Trained] = {}
        self._attributes: dict[int, Mapping[str, str]] = {}

    def add_matrix(
        self, index: int, operation: Matrix, tables: Sequence[SecretTable], places: int
    ) -> None:
        """Keep the rows of a matrix, in so many places at most: tables whose rows are in order."""
        self._matrices[index] = _Rows(roles_of(operation), tuple(tables), places)

    def forget_matrix(self, index: int) -> None:
        """Let the rows of a matrix go."""
        self._matrices.pop(index, None)

    def train(self, index: int, operation: Train) -> None:
        """Train a model. What of it shows follows from the plan: `docs/spec/plan.md`."""
        recipe, stopping = recipe_of(self._plan, index, operation), operation.stopping
        key = self._key_of(index)

        def tell(done: int) -> None:
            self._progress(round_trained(index, done, operation.num_boost_round))

        if self._together is not None and index in self._together.nodes:
            trained = self._together.train(index, recipe, self._trace, key, tell)
        else:
            trained = self._train(index, operation, recipe, key, tell)
        self._models[index] = trained
        if stopping is not None and stopping.save_best and trained.best_round is not None:
            trained.model = trained.model.first(trained.best_round + 1)

    def _train(
        self,
        index: int,
        operation: Train,
        recipe: Recipe,
        key: bytes,
        tell: Callable[[int], None],
    ) -> Trained:
        """Train on rows that are here, or that others get of them."""
        rows = self._matrices[operation.matrix]
        start = None if operation.start is None else self._models[operation.start].model
        if start is None:
            roles = self._with_drawn_edges(operation.matrix, rows)
            cuts = cuts_of_tables(self._trace, roles, rows.filled, recipe.parameters.max_bin)
        else:
            cuts = start.cuts  # so that rows are in the bins of all trees
        judged = [e for e in operation.evaluations if e.name in recipe.evaluations]
        matrices = self._binned(operation.matrix, cuts, labels=True)
        sets = {e.name: self._binned(e.matrix, cuts, labels=True) for e in judged}
        trace, places = self._trace, sum(m.places for m in matrices)
        if self._together is not None and self._together.deals(index, recipe, places):
            dealt = DealtSets(matrices, tuple(sets.values()), rows.places)
            trained = self._together.train_dealt(index, recipe, trace, key, dealt, tell)
        else:
            trained = boosting.train(
                trace,
                matrices,
                recipe.parameters,
                recipe.training,
                key,
                evaluations=sets,
                tell=tell,
                start=start,
                all_rows=rows.places,
            )
        check_leaves(self._trace, trained.model, matrices, self._leaf_rules(operation))
        return trained

    def _with_drawn_edges(self, matrix: int, rows: _Rows) -> Roles:
        """The roles of a matrix with edges that its rows were counted for, and noise added."""
        operation = self._plan.nodes[matrix].operation
        if not isinstance(operation, Matrix) or not operation.noisy:
            return rows.roles
        place = drawn_matrices(self._plan.nodes).index(matrix)
        edges = dict(rows.roles.edges)
        for declared in operation.noisy:
            source = rows.filled, rows.roles.missing
            found = draw_edges(self._trace, declared, *source, self._key, place)
            edges[found.feature] = found.numbers
        return replace(rows.roles, edges=edges)

    def _key_of(self, index: int) -> bytes:
        """What a training draws from."""
        if len(self._key) != KEY_BYTES:
            raise EngineError(f"a run that trains needs a key of {KEY_BYTES} bytes")
        return blake2b(str(index).encode(), digest_size=KEY_BYTES, key=self._key).digest()

    def _leaf_rules(self, operation: Train) -> LeafRules:
        """How many rows of how many owners each leaf has to have; whose each table is."""
        controls, matrix = operation.controls, self._plan.nodes[operation.matrix].operation
        owners: tuple[str, ...] = ()
        if controls.leaf_owners > 1 and isinstance(matrix, Matrix):
            filled = zip(matrix.sources, self._matrices[operation.matrix].tables, strict=True)
            owners = tuple(self._owner(source) for source, table in filled if table.rows)
        return LeafRules(controls.leaf_rows, controls.leaf_owners, owners)

    def _owner(self, source: int) -> str:
        """Whose rows a node has. Raises: EngineError if they are of several."""
        waiting, found = [source], set()
        while waiting:
            operation = self._plan.nodes[waiting.pop()].operation
            waiting += operation.sources
            if isinstance(operation, Scan):
                found.add(self._plan.inputs[operation.input].owner)
        if len(found) != 1:
            raise EngineError("a source of the matrix has rows of several owners")
        return found.pop()

    def _binned(self, matrix: int, cuts: SecretCuts, *, labels: bool) -> list[SecretMatrix]:
        rows = self._matrices[matrix]
        return matrices_of_tables(self._trace, rows.roles, cuts, rows.filled, labels=labels)

    def told(
        self,
        index: int,
        operation: Predict | History | CrossValidate,
        schema: Schema,
        facts: Facts,
    ) -> SecretTable:
        """What a model says of rows, or its training of itself, in as many places as could be."""
        match operation:
            case Predict():
                return self._predicted(operation, schema, facts)
            case History():
                return self._history(operation, schema, facts)
            case CrossValidate():
                return self._validated(index, operation, schema, facts)

    def _predicted(self, operation: Predict, schema: Schema, facts: Facts) -> SecretTable:
        """What a model says of the rows of a matrix, beside columns that are kept."""
        tables = self._matrices[operation.matrix].tables
        kept = []
        for table in tables:
            columns = fitted_columns(table, operation.keep, facts.widths or {})
            kept.append(SecretTable(columns, table.present))
        rows = union_all(kept, operation.keep)
        trained = self._models[operation.model]
        model = rounds_to_ask(operation, trained)
        matrices = self._binned(operation.matrix, model.cuts, labels=False)
        said = predicted(self._trace, operation, model, matrices, rows.present)
        names = schema.names[len(operation.keep) :]
        return SecretTable({**rows.columns, **dict(zip(names, said, strict=True))}, rows.present)

    def _history(self, operation: History, schema: Schema, facts: Facts) -> SecretTable:
        """The metrics of a training, which are public, in as many places as there could be."""
        series = [
            (evaluation, metric, values)
            for evaluation, metrics in self._models[operation.model].history.items()
            for metric, values in metrics.items()
        ]
        rows: list[tuple[Any, ...]] = [
            (i, name.encode(), metric.encode(), values[i])
            for i in range(len(series[0][2]))
            for name, metric, values in series
        ]
        return _public_rows(rows, schema, facts)

    def _validated(
        self, index: int, operation: CrossValidate, schema: Schema, facts: Facts
    ) -> SecretTable:
        """The metrics of a cross-validation, in as many places as there could be."""
        rows = self._matrices[operation.matrix]
        key, rounds = self._key_of(index), operation.num_boost_round

        def tell(done: int) -> None:
            self._progress(round_trained(index, done, rounds))

        found = validate(self._trace, operation, rows.roles, rows.filled, key, tell)
        return _public_rows(found, schema, facts)

    def derive(self, index: int, operation: Slice | Annotate) -> None:
        """A part of a model, or the same one with other attributes."""
        before = self._models[operation.model]
        attributes = dict(self._attributes.get(operation.model, {}))
        if isinstance(operation, Slice):
            check_rounds(before.model, operation.last)
            kept = range(operation.first, operation.last, operation.step)
            self._models[index] = Trained(before.model.part(kept))
        else:
            self._models[index] = before
            attributes |= operation.attributes
        self._attributes[index] = attributes

    def recall(self, index: int, shape: ModelShape, matrix: Matrix, raw: bytes) -> None:
        """Load a kept model. Raises: EngineError if it is another one than the plan says."""
        try:
            self._models[index] = recalled(shape, matrix, raw)
        except FormatError as error:
            raise EngineError(f"a kept model does not load: {error}", hint=KEEP_AGAIN) from None

    def kept(self, index: int) -> ModelOutput:
        """A model as it is: nothing of it shows but its shape."""
        return ModelOutput(store_trees(self._models[index]))

    def output(self, index: int) -> ModelOutput:
        """Make a model public that the plan releases."""
        bare, named = self._training(index).controls.bare, self._attributes.get(index, {})
        trained = self._models[index]
        return ModelOutput(released_file(self._trace, trained, bare=bare, attributes=named))

    def _training(self, index: int) -> Train:
        """The training of a model, of which it may be a part."""
        operation = self._plan.nodes[index].operation
        while isinstance(operation, Slice | Annotate):
            operation = self._plan.nodes[operation.model].operation
        if not isinstance(operation, Train):
            raise TypeError("oblivious plans have models of trainings only")
        return operation


def _public_rows(rows: Sequence[tuple[Any, ...]], schema: Schema, facts: Facts) -> SecretTable:
    """Rows that are public, texts as bytes, in as many places as there could be."""
    absent = [(None,) * len(schema.names)] * (facts.rows - len(rows))
    columns = {}
    for column, values in zip(schema.columns, zip(*rows, *absent, strict=True), strict=True):
        layout = layout_of(column.type, facts.widths or {}, column.name)
        columns[column.name] = column_of_values(layout, values)
    present = np.zeros(facts.rows, dtype=np.uint8)
    present[: len(rows)] = 1
    return SecretTable(columns, SecretMarks(present))


def released_file(
    trace: Trace,
    trained: Trained,
    *,
    bare: bool,
    kinds: Sequence[str] = (),
    attributes: Mapping[str, str] = NO_ATTRIBUTES,
) -> bytes:
    """A model made public: XGBoost's JSON; with `kinds` as the types of its features."""
    found = boosted_trees.release(trace, trained.model, statistics=not bare)
    if kinds:
        found["learner"]["feature_types"] = list(kinds)
    found["learner"]["attributes"] = dict(attributes)
    if trained.best_round is not None:
        found["learner"]["attributes"] |= {
            "best_iteration": str(trained.best_round),
            "best_score": repr(trained.best_score),
        }
    return json.dumps(found, separators=(",", ":")).encode()


def recalled(shape: ModelShape, matrix: Matrix, raw: bytes) -> Trained:
    """A kept model of trees from its file. Raises: FormatError if it is another one."""
    roles, given = roles_of(matrix), {p.name: p.value for p in shape.operation.parameters}
    parameters = BoostingParameters.read(given, roles.features)
    found = load_trees(raw, parameters, roles.declared, shape.rounds)
    if shape.has_best and found.best_round is None:
        raise FormatError("a kept model does not say which round is best")
    return found
