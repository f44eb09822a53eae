"""Which trainings of an oblivious plan several enclaves can share, and who reads which rows.

A pure function of the checked plan and of public sizes: the leader and each member work it out for
themselves. Spec: docs/spec/training-message.md, section "Partitions".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from mc2.errors import PlanError
from mc2.plan.check import CheckedPlan
from mc2.plan.home import by_row, input_of, needs_one_place
from mc2.plan.models import Matrix
from mc2.plan.oblivious_models import compares_rows
from mc2.plan.plan import Plan
from mc2.plan.relations import Scan
from mc2.plan.training import Train


@dataclass(frozen=True, slots=True)
class Chunks:
    """What is public of how an input was sealed: the places for rows of each chunk, in order."""

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SharedTraining:
    """A training whose rows come from the inputs one by one.

    `tables` are the nodes that its matrix reads, `sets` those of each evaluation set, by name: all
    that can have rows.
    """

    node: int
    tables: tuple[int, ...]
    sets: tuple[tuple[str, tuple[int, ...]], ...]


def shared_trainings(checked: CheckedPlan) -> tuple[SharedTraining, ...]:
    """The trainings of a plan that need nothing but rows of inputs, each taken by itself."""
    if checked.plan.mode != "oblivious":
        return ()
    found = []
    for index, node in enumerate(checked.plan.nodes):
        if isinstance(node.operation, Train):
            shared = _shared(checked, index, node.operation)
            if shared is not None:
                found.append(shared)
    return tuple(found)


def _shared(checked: CheckedPlan, index: int, operation: Train) -> SharedTraining | None:
    plan = checked.plan
    if needs_one_place(plan, index, operation):
        return None
    matrix = _matrix(plan, operation.matrix)
    judged = [(e.name, _matrix(plan, e.matrix)) for e in operation.evaluations]
    if matrix.noisy or any(_meaning(m) != _meaning(matrix) for _, m in judged):
        return None  # edges are drawn where all rows are
    if not all(by_row(plan, s) for m in (matrix, *(m for _, m in judged)) for s in m.sources):
        return None
    sets = tuple((name, _filled(checked, m)) for name, m in judged)
    return SharedTraining(index, _filled(checked, matrix), sets)


def dealt_trainings(checked: CheckedPlan) -> frozenset[int]:
    """The trainings whose rows one enclave computes, and may then deal out to others.

    All that are not `shared_trainings`, but those that begin with a model or compare rows.
    """
    plan, shared = checked.plan, {t.node for t in shared_trainings(checked)}
    found = set[int]()
    for index, node in enumerate(plan.nodes):
        operation = node.operation
        if plan.mode != "oblivious" or not isinstance(operation, Train) or index in shared:
            continue
        meanings = {_meaning(_matrix(plan, m)) for m in operation.matrices}
        compares = compares_rows(plan.nodes, index, operation)
        if operation.start is None and not compares and len(meanings) == 1:
            found.add(index)
    return frozenset(found)


def _matrix(plan: Plan, index: int) -> Matrix:
    operation = plan.nodes[index].operation
    if not isinstance(operation, Matrix):
        raise PlanError("a training reads a matrix")
    return operation


def _meaning(matrix: Matrix) -> tuple[object, ...]:
    return matrix.label, matrix.weight, matrix.missing


def _filled(checked: CheckedPlan, matrix: Matrix) -> tuple[int, ...]:
    return tuple(s for s in matrix.sources if checked.facts[s].rows)


class Partitions:
    """How the inputs of a training are cut into so many partitions.

    What is hosted is cut into runs of chunks; behind these, each party whose rows stay at home has
    a partition of all of them. `inputs` say how each input of the plan was sealed.

    Raises: PlanError for more partitions than there are chunks to train on, or too few.
    """

    def __init__(
        self, checked: CheckedPlan, training: SharedTraining, inputs: Sequence[Chunks], count: int
    ) -> None:
        self._checked, self._training, self._inputs, self.count = checked, training, inputs, count
        trained, homes = self._apart(training.tables)
        judged, judged_homes = self._apart(n for _, nodes in training.sets for n in nodes)
        self.homes = tuple(sorted({checked.plan.inputs[i].owner for i in homes}))
        """The parties that train at home, in order: theirs are the last partitions."""
        self.hosted = count - len(self.homes)
        """How many partitions there are of what is hosted."""
        chunks = sum(len(inputs[i].places) for i in trained)
        self.most = chunks + len(self.homes)
        """How many partitions there could be: each has a chunk to train on."""
        if not min(1, chunks) <= self.hosted <= chunks or not count:
            raise PlanError("a training has a chunk for each of its partitions")
        owners = {checked.plan.inputs[i].owner for i in judged_homes}
        if not owners <= set(self.homes) or (judged and not trained):
            raise PlanError("a training judges rows of those only whose rows it is trained on")
        self._ranges = self._cut(trained) | self._cut([i for i in judged if i not in trained])
        for i in {*homes, *judged_homes}:
            place = self.hosted + self.homes.index(checked.plan.inputs[i].owner)
            whole = len(inputs[i].places)
            self._ranges[i] = (0,) * (place + 1) + (whole,) * (count - place)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The inputs that the training reads, by place."""
        return tuple(sorted(self._ranges))

    def chunks(self, source: int, partition: int) -> range:
        """The chunks of an input that a partition reads."""
        bounds = self._ranges[source]
        return range(bounds[partition], bounds[partition + 1])

    def tables(self, nodes: Iterable[int], partition: int) -> list[int]:
        """Those of some nodes of which a partition has any chunk."""
        return [n for n in nodes if self.chunks(input_of(self._checked.plan, n), partition)]

    @property
    def places(self) -> tuple[int, ...]:
        """How many places for rows to train on each partition has."""
        plan, nodes = self._checked.plan, self._training.tables
        return tuple(
            sum(self._rows(n, self.chunks(input_of(plan, n), p)) for n in nodes)
            for p in range(self.count)
        )

    @property
    def all_rows(self) -> int:
        """How many places there are for rows to train on in one enclave."""
        plan, found = self._checked.plan, 0
        for node in self._training.tables:
            found += self._rows(node, range(len(self._inputs[input_of(plan, node)].places)))
        return found

    def _rows(self, node: int, chunks: range) -> int:
        """Places of a node over some chunks of its input: no node has more than its bound."""
        plan, facts = self._checked.plan, self._checked.facts
        places = self._inputs[input_of(plan, node)].places
        found = sum(places[i] for i in chunks)
        while True:
            found = min(found, facts[node].rows)
            operation = plan.nodes[node].operation
            if isinstance(operation, Scan):
                return found
            (node,) = operation.sources

    def _cut(self, inputs: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """Runs of equally many chunks of some inputs, one input after the other."""
        counts = [len(self._inputs[i].places) for i in inputs]
        total, first = sum(counts), (0, *accumulate(counts))
        cuts = [p * total // self.hosted for p in range(self.hosted + 1)] if inputs else []
        cuts += [total] * len(self.homes)  # who is at home reads nothing of it
        return {
            i: tuple(min(max(c - first[at], 0), counts[at]) for c in cuts)
            for at, i in enumerate(inputs)
        }

    def _apart(self, nodes: Iterable[int]) -> tuple[list[int], list[int]]:
        """The inputs that some nodes read: those that are hosted, and those that stay at home."""
        found = inputs_of(self._checked.plan, nodes)
        at_home = [i for i in found if self._checked.plan.inputs[i].at_home]
        return [i for i in found if i not in at_home], at_home


def inputs_of(plan: Plan, nodes: Iterable[int]) -> list[int]:
    """The inputs whose rows some nodes take one by one, by place."""
    return sorted({input_of(plan, n) for n in nodes})
