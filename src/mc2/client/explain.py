"""What a script compiles to: its plan as a tree in words, its inputs, and where columns come from.

For the author of a script, who wants to see what its queries become before proposing it. It is
derived from the plan alone; `mc2 review` is what others read before they sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mc2.client.plan_words import name_words, names, rows, step_words, visible
from mc2.formats.canonical import Json
from mc2.plan.check import CheckedPlan
from mc2.plan.lineage import Lineage, Origins
from mc2.plan.models import Recall
from mc2.plan.oblivious_rewrites import as_run
from mc2.plan.plan import PlanInput, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.shapes import TableShape

_DEEPEST = 24  # so far to the right a step may stand; what is deeper stays there


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan explained: `json()` for programs, `text()` for people."""

    checked: CheckedPlan

    def json(self) -> dict[str, Json]:
        """The explanation as data; steps count from 1, as in the text."""
        plan = self.checked.plan
        return {
            "title": plan.title,
            "plan": plan.digest,
            "mode": plan.mode,
            "inputs": [self._input_json(i) for i in plan.inputs],
            "steps": self.steps_json(),
            "run_steps": None if (run := self._run()) is None else run.steps_json(),
            "outputs": [self._output_json(o) for o in plan.outputs],
        }

    def text(self) -> str:
        """The explanation as text, each line ended."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        plan = self.checked.plan
        yield f'"{visible(plan.title)}"'
        yield f"  plan  {plan.digest}"
        yield f"  mode  {plan.mode}"
        yield ""
        yield "INPUTS"
        for source in plan.inputs:
            read = names(self._columns_read(source))
            owners = ", ".join(source.owners)
            yield f"  {source.dataset} of {owners}, {rows(source.row_bound)}: {read}"
        for output in plan.outputs:
            yield ""
            to = "kept sealed" if output.keep else f"for {', '.join(output.recipients)}"
            yield f"OUTPUT {output.name} ({output.kind}), {to}"
            yield from self._origins(output)
        yield ""
        yield "STEPS, each over those below it"
        yield from self.steps()
        run = self._run()
        if run is not None:
            yield ""
            yield "STEPS AS THEY RUN, which cost less by public sizes"
            yield from run.steps()

    def _run(self) -> Explanation | None:
        """The plan that is computed instead of the signed one, if it is another one."""
        run = as_run(self.checked)
        return None if run is self.checked else Explanation(run)

    def steps(self) -> Iterator[str]:
        """The lines of each output's steps."""
        shown: set[int] = set()
        for output in self.checked.plan.outputs:
            yield f"  {output.name}"
            yield from self._tree(output.node, shown)

    def _tree(self, root: int, shown: set[int]) -> Iterator[str]:
        stack = [(root, 2)]
        while stack:
            index, depth = stack.pop()
            margin = "  " * min(depth, _DEEPEST)
            if index in shown:
                yield f"{margin}{index + 1}. as above"
                continue
            shown.add(index)
            yield f"{margin}{index + 1}. {step_words(self.checked.plan, index)}{self._bound(index)}"
            sources = self.checked.plan.nodes[index].operation.sources
            stack += [(s, depth + 1) for s in reversed(dict.fromkeys(sources))]

    def _bound(self, index: int) -> str:
        shape = self.checked.shapes[index]
        return f" ({rows(shape.row_bound)})" if isinstance(shape, TableShape) else ""

    def _origins(self, output: PlanOutput) -> Iterator[str]:
        lineage = self.checked.lineage(output)
        shape = self.checked.shapes[output.node]
        if not isinstance(shape, TableShape):
            yield f"  from {_listed(lineage.influences)}"
            return
        yield f"  {rows(shape.row_bound)}"
        for column in shape.schema.columns:
            kind = f"{column.type}{'' if column.nullable else ' not null'}"
            yield f"  {name_words(column.name)} {kind}"
            yield f"    from {_listed(lineage.values[column.name])}"
            also = lineage.of(column.name) - lineage.values[column.name]
            if also:
                yield f"    also decided by {_listed(also)}"

    def _columns_read(self, source: PlanInput) -> tuple[str, ...]:
        place = self.checked.plan.inputs.index(source)
        operations = (n.operation for n in self.checked.plan.nodes)
        scans = (o for o in operations if isinstance(o, Scan | Recall) and o.input == place)
        wanted = {name for o in scans for name in o.columns}
        return tuple(n for n in source.schema.names if n in wanted)

    def _input_json(self, source: PlanInput) -> Json:
        return {
            "dataset": source.dataset,
            "owner": ", ".join(source.owners),
            "row_bound": source.row_bound,
            "columns": list(self._columns_read(source)),
        }

    def steps_json(self) -> list[Json]:
        """The steps as data."""
        return [self._step_json(n) for n in range(len(self.checked.plan.nodes))]

    def _step_json(self, index: int) -> Json:
        node, shape = self.checked.plan.nodes[index], self.checked.shapes[index]
        table = shape if isinstance(shape, TableShape) else None
        return {
            "step": index + 1,
            "operation": node.operation.OP,
            "reads": [s + 1 for s in node.operation.sources],
            "words": step_words(self.checked.plan, index),
            "row_bound": None if table is None else table.row_bound,
            "schema": None if node.schema is None else node.schema.json(),
        }

    def _output_json(self, output: PlanOutput) -> Json:
        lineage = self.checked.lineage(output)
        return {
            "name": output.name,
            "kind": output.kind,
            "step": output.node + 1,
            "recipients": list(output.recipients),
            "keep": output.keep,
            "datasets": sorted(lineage.datasets),
            "columns": _columns_json(lineage),
        }


def _columns_json(lineage: Lineage) -> Json:
    return [
        {
            "name": name,
            "values": _origin_names(values),
            "influences": _origin_names(lineage.of(name)),
        }
        for name, values in lineage.values.items()
    ]


def _origin_names(origins: Origins) -> list[Json]:
    return [f"{dataset}.{column}" for dataset, column in sorted(origins)]


def _listed(origins: Origins) -> str:
    listed = [f"{dataset}.{name_words(column)}" for dataset, column in sorted(origins)]
    return ", ".join(listed) or "no stored value"
