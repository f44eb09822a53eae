"""A training whose rows stand in several workers from the start: their bins, then their sums.

Before the steps of `mc2.ml.boosting` there are some more, by which all partitions come to the same
cuts between bins and to the same names of rows as if all rows stood in one place. So the model has
the bits of one worker. Spec: docs/spec/oblivious-boosting.md, section "Partitions and steps".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mc2 import _native
from mc2.errors import EngineError
from mc2.ml.boosting import Leader, Trained, Training
from mc2.ml.boosting_metrics import metric_names
from mc2.ml.boosting_parameters import MOST_BINS, BoostingParameters
from mc2.ml.boosting_partition import Partition
from mc2.ml.boosting_rounds import KEY_BYTES, Arrays, Form, Kind, Step
from mc2.ml.boosting_rows import Sums, cell_counts
from mc2.ml.boosting_tables import Roles, first_names, matrix_of_table, where_present
from mc2.ml.secret_matrix import Floats, SecretCuts, SecretMatrix, cut_words, public_cuts, sortable
from mc2.operators.handles import Marks, SecretMarks, SecretTable, Words, marks_of
from mc2.operators.run import Run
from mc2.operators.seams import END_MARKS, check_ends

_BEFORE: Final = frozenset({Kind.ROWS, Kind.VALUES, Kind.CUTS})


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a training does, beside its rows; all of it is public.

    `evaluations` are the names of the sets whose metrics somebody is told, in order.
    """

    roles: Roles
    parameters: BoostingParameters
    training: Training
    evaluations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """How the rows of a training stand in its partitions; all of it is public.

    `places`: for rows of each partition. `tables`: how many the matrix has. `all_rows`: places of
    all rows as one worker would have them. `inputs`: how many there are, each cut between these.
    """

    places: tuple[int, ...]
    tables: int
    all_rows: int
    inputs: int = 0


def form_of(recipe: Recipe, shares: Shares) -> Form:
    """What the lengths of the training's messages depend on."""
    cuts = empty_cuts(recipe)
    metrics = len(recipe.evaluations) * len(metric_names(recipe.parameters))
    counts = cell_counts(cuts, recipe.parameters)
    return Form(
        bins=int(counts.sum()),
        classes=recipe.parameters.classes,
        depth=recipe.parameters.max_depth,
        metrics=metrics,
        cuts=len(cuts.features) * (cuts.bins - 1),
        tables=shares.tables,
        places=shares.places,
        inputs=shares.inputs,
    )


def empty_cuts(recipe: Recipe) -> SecretCuts:
    """Cuts of the same shape as those to come."""
    roles = recipe.roles
    if roles.drawn:
        cuts = np.full((len(roles.features), roles.drawn), np.inf, np.float32)
        return SecretCuts(roles.declared, cuts)
    if roles.edges:
        return public_cuts(roles.declared, roles.edges)
    bins = min(recipe.parameters.max_bin, MOST_BINS)
    return SecretCuts(roles.declared, np.full((len(roles.features), bins - 1), np.inf, np.float32))


class GatheringLeader:
    """The leader of such a training; fulfils what `mc2.ml.boosting.Leader` does."""

    def __init__(self, run: Run, recipe: Recipe, shares: Shares, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise EngineError(f"a training's key has {KEY_BYTES} bytes")
        self._run, self._recipe, self._key = run, recipe, key
        self.form = form_of(recipe, shares)
        self._counts: list[Sums] = []
        self._table: Floats = np.empty((0, 0), dtype=np.float32)
        self._leader: Leader | None = None
        self._gone: set[int] = set()
        self._tables, self._inputs = shares.tables, shares.inputs
        self._partitions = len(shares.places)
        self.step: Step | None = Step(Kind.ROWS)
        self.told: Arrays = (np.frombuffer(key, dtype=np.uint8).copy(),)

    @property
    def rounds(self) -> int:
        """How many rounds are over."""
        return 0 if self._leader is None else self._leader.rounds

    def take(self, answers: Sequence[Arrays]) -> None:
        """Take one answer of each partition, in their order; go on to the next step."""
        step = self.step
        if step is None or not answers:
            raise EngineError("a training takes the answers of its partitions, step by step")
        if self._leader is not None:
            self._leader.take(answers)
        elif step.kind is Kind.ROWS:
            self._check_seams([marks for _, marks in answers])
            left = iter(answers)
            nothing = np.zeros(self._tables, dtype=np.int64)
            self._counts = [
                nothing if place in self._gone else next(left)[0]
                for place in range(self._partitions)
            ]
            self._table = np.full(_shape(self._recipe), np.inf, dtype=np.float32)
            self._ask_from(0)
            return
        elif step.kind is Kind.VALUES:
            weighted = self._recipe.roles.weight is not None
            words = [a[0] for a in answers]
            cut_words(self._run, words, self._table[step.turn], weighted=weighted)
            self._ask_from(step.turn + 1)
            return
        else:
            self._leader = self._begun()
        self.step, self.told = self._leader.step, self._leader.told

    def _check_seams(self, answers: Sequence[Marks]) -> None:
        """No row of an input follows an empty place in chunks that another partition reads."""
        for number in range(self._inputs):
            mine = slice(number * END_MARKS, (number + 1) * END_MARKS)
            check_ends(self._run, [SecretMarks(marks[mine]) for marks in answers])

    def _ask_from(self, place: int) -> None:
        """Ask for the values of the next feature that needs them, or tell cuts if none does."""
        roles = self._recipe.roles
        left = [i for i, f in enumerate(roles.declared) if i >= place and not f.categories]
        if roles.edges or not left:
            self._tell_cuts()
        else:
            self.step, self.told = Step(Kind.VALUES, left[0]), ()

    def drop(self, partitions: Collection[int]) -> None:
        """Go on without some partitions, whose tables no other has: this round begins again."""
        self._gone |= set(partitions)
        if self._leader is not None:
            self._leader.begin_round_again()
            self.step, self.told = self._leader.step, self._leader.told

    def trained(self) -> Trained:
        """The model, once there is no step left. Raises: EngineError."""
        if self._leader is None:
            raise EngineError("the training is not over")
        return self._leader.trained()

    def _tell_cuts(self) -> None:
        """All partitions get all counts, and know their own place."""
        counts = np.concatenate(self._counts)
        self.step, self.told = Step(Kind.CUTS), (self._table.reshape(-1).copy(), counts)

    def _begun(self) -> Leader:
        recipe = self._recipe
        cuts = _cuts(recipe, self._table)
        arguments = (self._run, cuts, recipe.parameters, recipe.training, self._key)
        return Leader(*arguments, recipe.evaluations)


class GatheredPartition:
    """One worker's part of such a training; answers like `mc2.ml.boosting_partition.Partition`.

    `tables` are its rows by the place of their table in the matrix, those that are there first;
    `evaluations` those of each set that is judged; `ends` those of its chunks of each input.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what a partition has
        self,
        run: Run,
        recipe: Recipe,
        shares: Shares,
        place: int,
        tables: Mapping[int, SecretTable],
        evaluations: Mapping[str, Sequence[SecretTable]],
        ends: Sequence[SecretMarks] = (),
    ) -> None:
        if sum(t.rows for t in tables.values()) != shares.places[place]:
            raise EngineError("a partition has other rows than the training says")
        if tuple(evaluations) != recipe.evaluations:
            raise EngineError("a partition has other evaluation sets than the training")
        if len(ends) != shares.inputs:
            raise EngineError("a partition reads other inputs than the training says")
        self._ends = [marks_of(e) for e in ends]
        self._run, self._recipe, self._shares, self._place = run, recipe, shares, place
        self._tables, self._sets = dict(tables), dict(evaluations)
        self._key = b""
        self._rows: Partition | None = None

    def answer(self, step: Step, told: Arrays) -> Arrays:
        """Take one step. Steps come in their order, each once."""
        match step.kind:
            case Kind.ROWS:
                self._key = told[0].tobytes()
                ends = [*self._ends, np.empty(0, dtype=np.uint8)]
                return self._counted(), np.concatenate(ends)
            case Kind.VALUES:
                return (self._values(step.turn),)
            case Kind.CUTS:
                if self._rows is None:  # told once more, if somebody dropped out
                    self._bin(*told)
                return ()
            case Kind.DONE:
                return ()
            case Kind.DROPPED if self._rows is None:
                return ()
            case _:
                return self._binned.answer(step, told)

    def catch_up(self, steps: Sequence[tuple[Step, Arrays]]) -> None:
        """Take the steps that a lost worker took, without what it answered."""
        before = [s for s in steps if s[0].kind in _BEFORE]
        for step, told in before:
            if step.kind is not Kind.VALUES:
                self.answer(step, told)
        after = [s for s in steps if s[0].kind not in _BEFORE]
        if after and self._rows is not None:
            self._rows.catch_up(after)

    @property
    def _binned(self) -> Partition:
        if self._rows is None:
            raise EngineError("rows come into bins before they are summed")
        return self._rows

    def _counted(self) -> Sums:
        """How many rows of each table there are here: secret."""
        found = np.zeros(self._shares.tables, dtype=np.int64)
        for place, table in self._tables.items():
            if table.rows:
                ranks = np.empty(table.rows, dtype=np.uint64)
                self._run.call(_native.ranks, marks_of(table.present), ranks)
                found[place] = ranks[-1].astype(np.int64)
        return found

    def _values(self, feature: int) -> Words:
        roles = self._recipe.roles
        if not 0 <= feature < len(roles.features):
            raise EngineError("a training has no such feature")
        name, words = roles.features[feature], []
        for table in self._tables.values():
            values = where_present(self._run, table.columns[name], table.present)
            weight = None if roles.weight is None else table.columns[roles.weight]
            words.append(sortable(self._run, values, roles.missing, weight))
        return np.concatenate(words)

    def _bin(self, table: Floats, counts: Sums) -> None:
        """Put rows into bins, named by their places among the rows of all partitions."""
        recipe, run = self._recipe, self._run
        cuts = _cuts(recipe, table.reshape(_shape(recipe)))
        before = counts.reshape(-1, self._shares.tables)[: self._place].sum(axis=0)
        matrices = []
        for place, rows in self._tables.items():
            start = first_names(place) + before[place].astype(np.uint64)
            matrices.append(matrix_of_table(run, recipe.roles, cuts, rows, start, labels=True))
        self._rows = Partition(
            run,
            matrices,
            recipe.parameters,
            self._key,
            all_rows=self._shares.all_rows,
            first=self._place * self._shares.tables,
            fixed_order=recipe.training.fixed_order,
            resumable=recipe.training.resumable,
            evaluations=self._judged(cuts),
        )
        self._tables.clear()
        self._sets.clear()

    def _judged(self, cuts: SecretCuts) -> dict[str, list[SecretMatrix]]:
        roles, start = self._recipe.roles, first_names(0)
        return {
            name: [matrix_of_table(self._run, roles, cuts, t, start, labels=True) for t in tables]
            for name, tables in self._sets.items()
        }


def _shape(recipe: Recipe) -> tuple[int, int]:
    cuts = empty_cuts(recipe)
    return len(cuts.features), cuts.bins - 1


def _cuts(recipe: Recipe, table: Floats) -> SecretCuts:
    """Public edges where the plan names them, else the cuts that were chosen."""
    if recipe.roles.edges:
        return empty_cuts(recipe)
    return SecretCuts(recipe.roles.declared, np.ascontiguousarray(table))
