"""A training whose rows one worker has in bins already, and deals out to others.

Rows keep their names and their bins, so the model has the bits of one worker. Spec:
docs/spec/oblivious-boosting.md, section "Partitions and steps".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mc2.errors import EngineError
from mc2.ml.boosting import Leader, Trained
from mc2.ml.boosting_partition import Partition
from mc2.ml.boosting_rounds import KEY_BYTES, Arrays, Form, Kind, Step
from mc2.ml.boosting_together import Recipe
from mc2.ml.secret_matrix import SecretCuts, SecretMatrix
from mc2.operators.run import Run


@dataclass(frozen=True, slots=True, eq=False)
class DealtSets:
    """Rows that are dealt out: those to train on, and those of each evaluation set.

    `all_rows` are the places to train on at most, wherever rows are computed.
    """

    matrices: Sequence[SecretMatrix]
    evaluations: tuple[Sequence[SecretMatrix], ...]
    all_rows: int

    @property
    def every(self) -> tuple[Sequence[SecretMatrix], ...]:
        """All sets, in order."""
        return (self.matrices, *self.evaluations)


class DealingLeader:
    """The leader of such a training: it tells the key before all else, and no cuts."""

    def __init__(self, run: Run, recipe: Recipe, cuts: SecretCuts, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise EngineError(f"a training's key has {KEY_BYTES} bytes")
        arguments = (run, cuts, recipe.parameters, recipe.training, key)
        self._leader = Leader(*arguments, recipe.evaluations)
        self.form: Form = self._leader.form
        self.step: Step | None = Step(Kind.ROWS)
        self.told: Arrays = (np.frombuffer(key, dtype=np.uint8).copy(),)
        self._has_begun = False

    @property
    def rounds(self) -> int:
        """How many rounds are over."""
        return self._leader.rounds

    def take(self, answers: Sequence[Arrays]) -> None:
        """Take one answer of each partition; go on to the next step."""
        if self._has_begun:
            self._leader.take(answers)
        self._has_begun = True
        self.step, self.told = self._leader.step, self._leader.told

    def trained(self) -> Trained:
        """The model, once there is no step left. Raises: EngineError."""
        return self._leader.trained()


class DealtPartition:
    """One worker's part of such a training; answers as `mc2.ml.boosting_partition` does.

    `place` is its number, `all_rows` the places for rows of all partitions.
    """

    def __init__(  # what a partition has
        self,
        run: Run,
        recipe: Recipe,
        place: int,
        all_rows: int,
        rows: SecretMatrix,
        evaluations: Mapping[str, Sequence[SecretMatrix]],
    ) -> None:
        if tuple(evaluations) != recipe.evaluations:
            raise EngineError("a partition has other evaluation sets than the training")
        self._run, self._recipe, self._place, self._all_rows = run, recipe, place, all_rows
        self._matrix, self._sets = rows, evaluations
        self._rows: Partition | None = None

    def answer(self, step: Step, told: Arrays) -> Arrays:
        """Take one step. Steps come in their order, each once."""
        if step.kind is Kind.ROWS:
            self._begin(told[0].tobytes())
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8)
        return () if step.kind is Kind.DONE else self._begun.answer(step, told)

    def catch_up(self, steps: Sequence[tuple[Step, Arrays]]) -> None:
        """Take the steps that a lost worker took, without what it answered."""
        if steps:
            self.answer(*steps[0])
            self._begun.catch_up(steps[1:])

    @property
    def _begun(self) -> Partition:
        if self._rows is None:
            raise EngineError("a training begins with its key")
        return self._rows

    def _begin(self, key: bytes) -> None:
        self._rows = Partition(
            self._run,
            [self._matrix],
            self._recipe.parameters,
            key,
            all_rows=self._all_rows,
            first=self._place,
            fixed_order=self._recipe.training.fixed_order,
            evaluations=self._sets,
        )
