"""Rows that stay at home: nothing but the steps of a training may read them.

An enclave on their owner's premises opens them, and answers with sums of agreed shape. A plan in
which a row could go anywhere else is refused. Spec: docs/spec/home.md, section "Plans".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mc2.errors import PlanError
from mc2.plan.models import Matrix
from mc2.plan.oblivious_models import compares_rows
from mc2.plan.plan import Plan, PlanInput
from mc2.plan.relations import Filter, Project, Scan
from mc2.plan.training import Train

_ENCRYPTED: Final = "run the plan in oblivious mode, or let {owner} upload the table"


def home_parties(plan: Plan) -> tuple[str, ...]:
    """The owners of rows that stay at home, in order."""
    return tuple(sorted({i.owner for i in plan.inputs if i.at_home}))


def home_inputs(plan: Plan, party: str | None) -> frozenset[str]:
    """The datasets that an enclave on a party's premises opens; for None those of all others."""
    if party is None:
        return frozenset(i.dataset for i in plan.inputs if not i.at_home)
    return frozenset(i.dataset for i in plan.inputs if i.at_home and i.owner == party)


def check_home(plan: Plan) -> None:
    """Check what a plan does with rows that stay at home.

    Raises: PlanError for rows at home in encrypted mode, rows that reach anything but the matrices
    of a training that enclaves can share, cuts that are not public, rules on dropout without use.
    """
    at_home = [i for i in plan.inputs if i.at_home]
    if at_home and plan.mode != "oblivious":
        first = at_home[0]
        raise PlanError(
            f"{first.dataset} stays at home, and encrypted mode has to bring rows together",
            hint=_ENCRYPTED.format(owner=first.owner),
        )
    touched = _touched(plan)
    for index, node in enumerate(plan.nodes):
        if isinstance(node.operation, Train):
            _check_train(plan, index, node.operation, touched)
            continue
        for source in node.operation.sources:
            if source in touched and index not in touched:
                raise PlanError(
                    f"node {index} ({node.operation.OP}) reads rows of {touched[source].dataset}, "
                    "which stay at home",
                    hint="trainings alone can use them, row by row: train, and release the model",
                )
    for output in plan.outputs:
        if output.node in touched:
            raise PlanError(f"the output {output.name} has rows that stay at home")


def by_row(plan: Plan, index: int) -> bool:
    """Whether each row of a node follows from one row of an input alone."""
    operation = plan.nodes[index].operation
    if isinstance(operation, Project | Filter):
        return by_row(plan, operation.source)
    return isinstance(operation, Scan)


def input_of(plan: Plan, node: int) -> int:
    """The place of the input whose rows a node takes one by one."""
    operation = plan.nodes[node].operation
    while not isinstance(operation, Scan):
        (node,) = operation.sources
        operation = plan.nodes[node].operation
    return operation.input


def needs_one_place(plan: Plan, index: int, operation: Train) -> bool:
    """Whether all rows of a training have to be in one enclave, whatever they come from."""
    rules = operation.controls
    leaves = rules.leaf_rows > 1 or rules.leaf_owners > 1
    return operation.start is not None or leaves or compares_rows(plan.nodes, index, operation)


def trained_parties(plan: Plan, index: int) -> frozenset[str]:
    """The owners of all rows that a training which enclaves share is trained on."""
    operation = plan.nodes[index].operation
    if not isinstance(operation, Train):
        raise PlanError(f"node {index} is no training")
    sources = _matrix(plan, operation.matrix).sources
    return frozenset(plan.inputs[input_of(plan, s)].owner for s in sources)


def trains_at_home(plan: Plan, index: int) -> frozenset[str]:
    """The parties at home whose rows a training reads, to train on or to judge."""
    operation = plan.nodes[index].operation
    if not isinstance(operation, Train):
        return frozenset()
    touched = _touched(plan)
    sources = {s for m in operation.matrices for s in _matrix(plan, m).sources}
    return frozenset(touched[s].owner for s in sources if s in touched)


def _touched(plan: Plan) -> dict[int, PlanInput]:
    """The nodes that hold rows from a home or a matrix of them, and one input that it is of."""
    found: dict[int, PlanInput] = {}
    for index, node in enumerate(plan.nodes):
        operation = node.operation
        if isinstance(operation, Scan) and plan.inputs[operation.input].at_home:
            found[index] = plan.inputs[operation.input]
        elif isinstance(operation, Project | Filter | Matrix):
            for source in operation.sources:
                if source in found:
                    found[index] = found[source]
    return found


def _check_train(plan: Plan, index: int, train: Train, touched: dict[int, PlanInput]) -> None:
    here = [touched[m] for m in train.matrices if m in touched]
    if not here:
        if train.dropout is not None:
            raise PlanError(
                f"node {index} (train): nobody is at home, so nobody can drop out",
                hint='leave out on_dropout="continue"',
            )
        return
    if needs_one_place(plan, index, train):
        raise PlanError(
            f"node {index} (train): rows of {here[0].dataset} stay at home, so no row can be "
            "compared with rows of others",
            hint="leave out the metric auc, rules on leaves, and models to go on from",
        )
    matrices = [_matrix(plan, m) for m in train.matrices]
    if not all(by_row(plan, s) for m in matrices for s in m.sources):
        raise PlanError(
            f"node {index} (train): rows of {here[0].dataset} stay at home, so all rows have to "
            "come from inputs one by one",
            hint="train on tables, columns computed from them and filters; no joins or groups",
        )
    if len({(m.label, m.weight, m.missing) for m in matrices}) > 1:
        raise PlanError(f"node {index} (train): its matrices do not mean the same by their columns")
    if not matrices[0].edges or matrices[0].noisy:
        raise PlanError(
            f"node {index} (train): rows of {here[0].dataset} stay at home, so cuts between bins "
            "cannot come from them",
            hint="name them: DMatrix(…, bin_edges={feature: [numbers]})",
        )
    trained = {input_of(plan, s) for s in matrices[0].sources}
    _check_rows(plan, index, trained)
    judged = {input_of(plan, s) for m in matrices[1:] for s in m.sources}
    owners = {plan.inputs[i].owner for i in trained if plan.inputs[i].at_home}
    hosted = any(not plan.inputs[i].at_home for i in trained)
    for source in (plan.inputs[i] for i in judged):
        if (source.owner not in owners) if source.at_home else not hosted:
            raise PlanError(
                f"node {index} (train): it is judged on {source.dataset}, and trained on no rows "
                "that stand beside these",
                hint="train on some rows of each party at home that judges, or do not judge there",
            )
    parties = trained_parties(plan, index)
    if train.dropout is not None and train.dropout.least_parties > len(parties):
        raise PlanError(
            f"node {index} (train): it is trained on rows of {len(parties)} parties, and wants "
            f"{train.dropout.least_parties} to be left",
            hint="lower least_parties",
        )


def _check_rows(plan: Plan, index: int, trained: Iterable[int]) -> None:
    """Nobody would ask the enclave of a home without rows for anything."""
    for source in (plan.inputs[i] for i in trained):
        if source.at_home and not source.row_bound:
            raise PlanError(
                f"node {index} (train): {source.dataset} stays at home, and has no rows",
                hint="leave it out",
            )


def _matrix(plan: Plan, index: int) -> Matrix:
    operation = plan.nodes[index].operation
    if not isinstance(operation, Matrix):
        raise PlanError("a training reads a matrix")
    return operation
