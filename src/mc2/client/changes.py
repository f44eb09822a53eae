"""What differs between two plans, in sentences. Nothing that their digests cover goes unsaid."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from typing import Final

from mc2.client.plan_words import names, step_words, visible
from mc2.crypto.digest import digest
from mc2.formats.canonical import Json, encode
from mc2.plan.models import Recall, Train
from mc2.plan.plan import Node, Plan, PlanInput, PlanOutput
from mc2.plan.relations import Scan

_SCRIPT_LINES: Final = 200
_PLACES: Final = ("evaluations", "left", "matrix", "model", "right", "source", "sources", "start")
"""The fields of nodes that hold places of other nodes."""


def list_changes(before: Plan, after: Plan) -> tuple[str, ...]:
    """All differences, the gravest first; empty if the two are one plan."""
    found: list[str] = []
    for what, old, new in (
        ("mode", before.mode, after.mode),
        ("title", before.title, after.title),
        ("contract", before.contract, after.contract),
        ("script's name", before.script_name, after.script_name),
    ):
        if old != new:
            found.append(f"the {what} is {visible(new)}, and was {visible(old)}")
    found += _outputs(before, after)
    found += _inputs(before, after)
    found += _steps(before, after)
    found += _packages(before.packages, after.packages)
    found += _script(before.script, after.script)
    if not found and before.digest != after.digest:
        found.append("the plans differ in the order or the types of their steps")
    return tuple(found)


def _outputs(before: Plan, after: Plan) -> list[str]:
    old = {o.name: o for o in before.outputs}
    new = {o.name: o for o in after.outputs}
    made_before, made_after = _made(before), _made(after)
    found = [
        f"NEW result {n} kept sealed" if o.keep else f"NEW result {n} for {names(o.recipients)}"
        for n, o in new.items()
        if n not in old
    ]
    found += [f"the result {n} is gone" for n in old if n not in new]
    for name in [n for n in new if n in old]:
        found += _recipients(old[name], new[name])
        was, now = _columns(before, old[name]), _columns(after, new[name])
        found += [f"the result {name} has the NEW column {c}" for c in now if c not in was]
        found += [f"the result {name} no longer has the column {c}" for c in was if c not in now]
        if old[name].keep != new[name].keep:
            found.append(f"the result {name} is {_kept(new[name])}, and was {_kept(old[name])}")
        if old[name].kind != new[name].kind:
            found.append(f"the result {name} is a {new[name].kind}, and was a {old[name].kind}")
        if made_before[old[name].node] != made_after[new[name].node]:
            found.append(f"the result {name} is computed in another way")
    return found


def _kept(output: PlanOutput) -> str:
    return "KEPT SEALED for later jobs" if output.keep else "released"


def _recipients(old: PlanOutput, new: PlanOutput) -> list[str]:
    more = [r for r in new.recipients if r not in old.recipients]
    fewer = [r for r in old.recipients if r not in new.recipients]
    found = [f"{r} NEWLY receives the result {new.name}" for r in more]
    return found + [f"{r} no longer receives the result {new.name}" for r in fewer]


def _columns(plan: Plan, output: PlanOutput) -> list[str]:
    schema = plan.nodes[output.node].schema
    return [] if schema is None else [f"{visible(c.name)} {c.type}" for c in schema.columns]


def _own(plan: Plan, node: Node) -> dict[str, Json]:
    """What a node does, free of the numbers of the nodes that it reads."""
    operation = node.operation
    found = {k: v for k, v in operation.json().items() if k not in _PLACES}
    if isinstance(operation, Scan | Recall):
        found["input"] = plan.inputs[operation.input].dataset
    if isinstance(operation, Train):
        found["evaluations"] = [e.name for e in operation.evaluations]
    return {"op": operation.OP, **found}


def _made(plan: Plan) -> list[str]:
    """A digest of all that goes into each node."""
    found: list[str] = []
    for node in plan.nodes:
        operation = node.operation
        places = operation.sources
        if isinstance(operation, Train):  # one matrix may stand for several
            start = () if operation.start is None else (operation.start,)
            places = (operation.matrix, *(e.matrix for e in operation.evaluations), *start)
        own: Json = {"own": _own(plan, node), "of": [found[p] for p in places]}
        found.append(digest(encode(own)))
    return found


def _inputs(before: Plan, after: Plan) -> list[str]:
    old = {i.dataset: i for i in before.inputs}
    new = {i.dataset: i for i in after.inputs}
    found = [f"NEWLY reads {n}" for n in new if n not in old]
    found += [f"no longer reads {n}" for n in old if n not in new]
    for name in [n for n in new if n in old]:
        was, now = _scanned(before, old[name]), _scanned(after, new[name])
        more = [c for c in now if c not in was]
        fewer = [c for c in was if c not in now]
        if more:
            found.append(f"NEWLY reads {names(more)} of {name}")
        if fewer:
            found.append(f"no longer reads {names(fewer)} of {name}")
        if old[name].kept != new[name].kept:
            found.append(f"{name} is kept by others: {', '.join(new[name].owners)}")
        if old[name].model != new[name].model:
            found.append(f"{name} is another model, trained in another way")
        if old[name].manifest != new[name].manifest:
            found.append(f"reads another version of {name}")
    return found


def _scanned(plan: Plan, source: PlanInput) -> list[str]:
    place = plan.inputs.index(source)
    return [
        column
        for node in plan.nodes
        if isinstance(node.operation, Scan | Recall) and node.operation.input == place
        for column in node.operation.columns
    ]


def _steps(before: Plan, after: Plan) -> list[str]:
    """Steps that only one plan has. What is merely wired in another way shows at the results."""
    found = []
    for words, plan, other in (("step gone", before, after), ("NEW step", after, before)):
        there = Counter(encode(_own(other, n)) for n in other.nodes)
        for index, node in enumerate(plan.nodes):
            own = encode(_own(plan, node))
            if there[own]:
                there[own] -= 1
            else:
                found.append(f"{words}: {index + 1}. {step_words(plan, index)}")
    return found


def _packages(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [
        f"{n} is {visible(new.get(n, 'gone'))}, and was {visible(old.get(n, 'not there'))}"
        for n in sorted(old.keys() | new.keys())
        if old.get(n) != new.get(n)
    ]


def _script(old: str, new: str) -> list[str]:
    """The lines of the script that differ. Comments count: the digest covers them."""
    lines = [
        f"script {'adds' if line[0] == '+' else 'drops'}: {visible(line[1:])}"
        for line in difflib.unified_diff(old.split("\n"), new.split("\n"), n=0, lineterm="")
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    if len(lines) > _SCRIPT_LINES:
        rest = len(lines) - _SCRIPT_LINES
        return [*lines[:_SCRIPT_LINES], f"script: and {rest} more lines differ"]
    return lines
