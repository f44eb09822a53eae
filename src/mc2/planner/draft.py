"""The plan of one script while the script runs: what it read, computed and released so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from mc2.errors import PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.kept_models import ModelFacts
from mc2.plan.matrices import Matrix
from mc2.plan.models import Recall
from mc2.plan.plan import Operation, Plan, PlanOutput
from mc2.plan.relations import Scan
from mc2.plan.shapes import ModelShape, Shape
from mc2.planner.catalog import Catalog
from mc2.planner.names import suggestion
from mc2.planner.prune import prune
from mc2.planner.python_functions import PythonFunction
from mc2.planner.python_names import check_free
from mc2.planner.query import plan_query


class Draft:
    """Collects nodes and outputs; `finish` makes the plan."""

    def __init__(
        self, catalog: Catalog, *, name: str, script: str, packages: Mapping[str, str]
    ) -> None:
        self._catalog = catalog
        self._name = name
        self._script = script
        self._packages = packages
        self._inputs = tuple(
            table.as_input(dataset) for dataset, table in sorted(catalog.datasets.items())
        )
        self._places = {source.dataset: place for place, source in enumerate(self._inputs)}
        self._builder = PlanBuilder(self._inputs)
        self._views: dict[str, int] = {}
        self._functions: dict[str, PythonFunction] = {}
        self._named: set[str] = set()
        self._outputs: dict[str, PlanOutput] = {}
        self._title: str | None = None
        self._mode = "encrypted"

    def start(self, title: str, mode: str) -> None:
        """The script's one job begins. Raises: PlanError if it is not the first."""
        if self._title is not None:
            raise PlanError("a script has one job", hint="use the one that is there")
        self._title, self._mode = title, mode

    def dataset(self, name: str) -> int:
        """All columns of a dataset. Raises: PlanError if the collaboration has none such."""
        place = self._place(name)
        source = self._inputs[place]
        if source.model is not None:
            raise PlanError(
                f"{source.dataset} is a model, and no table",
                hint=f"job.kept({source.dataset.partition('.')[2]!r}).predict(...)",
            )
        return self._builder.add(Scan(place, source.schema.names))

    def kept_model(self, name: str) -> tuple[int, ModelFacts] | None:
        """A kept model and its facts; None if a table has this name. Raises: PlanError."""
        place = self._place(name)
        facts = self._inputs[place].model
        return None if facts is None else (self._builder.add(Recall(place)), facts)

    def trained_on(self, model: int) -> Matrix:
        """The matrix that a model was trained on: its features, not its rows. Raises: PlanError."""
        operation = self.operation(model)
        if isinstance(operation, Recall):
            facts = self._inputs[operation.input].model
            if facts is not None:
                return facts.matrix
        shape = self.shape(model)
        if isinstance(shape, ModelShape):
            matrix = self.operation(shape.operation.matrix)
            if isinstance(matrix, Matrix):
                return matrix
        raise PlanError("models come from xgboost.train")

    def _place(self, name: str) -> int:
        known = name.casefold()
        if known not in self._places:
            raise PlanError(
                f"there is no dataset {name!r} in {self._catalog.name}",
                hint=suggestion(known, self._places) or "no member has uploaded any yet",
            )
        place = self._places[known]
        self._named.add(known)
        return place

    def query(self, text: str, given: Mapping[str, int], dialect: str) -> int:
        """The result of a query. Raises: PlanError with its place in the query's text."""
        names = {**self._views, **given}
        return plan_query(
            text,
            self._builder,
            self.dataset,
            names,
            given=tuple(given),
            dialect=dialect,
            functions=self._functions,
        )

    @property
    def script(self) -> str:
        """The text of the script."""
        return self._script

    def define(self, function: PythonFunction) -> None:
        """Let later queries call a Python function.

        Raises: PlanError if SQL means something else by its name, or another function has it.
        """
        check_free(function.name)
        known = function.name.lower()
        if self._functions.setdefault(known, function) is not function:
            raise PlanError(f"there is a function {function.name!r} already", hint="rename one")

    def view(self, name: str, node: int) -> None:
        """Let later queries name a result. Raises: PlanError if the name is taken."""
        if name in self._views:
            raise PlanError(f"there is a view {name!r} already", hint="choose another name")
        self._views[name] = node

    def add(self, operation: Operation) -> int:
        """Add an operation. Raises: PlanError if it is not well typed."""
        try:
            return self._builder.add(operation)
        except PlanError as error:
            _, _, reason = str(error).partition("): ")  # the node's number says nothing to users
            raise PlanError(reason or str(error), hint=error.hint) from None

    def shape(self, node: int) -> Shape:
        """What is known of a node's result."""
        return self._builder.shape(node)

    def operation(self, node: int) -> Operation:
        """The operation of a node."""
        return self._builder.operation(node)

    def column_names(self, node: int) -> tuple[str, ...]:
        """The columns of a table."""
        return self._builder.schema(node).names

    def owners(self, node: int) -> list[str]:
        """Whose datasets a result derives from."""
        found = (self._inputs[i] for i in self._builder.inputs_of(node))
        return sorted({owner for source in found for owner in source.owners})

    def release(self, output: PlanOutput) -> None:
        """Let a result leave the enclave.

        Raises: PlanError if its name is taken, or a recipient is no recipient of the contract.
        """
        if output.name in self._outputs:
            raise PlanError(f"{output.name!r} is released already", hint="choose another name")
        if isinstance(self.operation(output.node), Recall):
            raise PlanError(
                f"{output.name!r} is a kept model, which never leaves",
                hint="predict with it; or release the model in the job that trains it",
            )
        for recipient in output.recipients:
            roles = self._catalog.members.get(recipient)
            if roles is None:
                hint = suggestion(recipient, self._catalog.members)
                raise PlanError(f"{recipient!r} is no member of {self._catalog.name}", hint=hint)
            if "recipient" not in roles:
                allowed = [n for n, r in self._catalog.members.items() if "recipient" in r]
                raise PlanError(
                    f"{recipient} may receive nothing under {self._catalog.name}",
                    hint=f"recipients are: {', '.join(sorted(allowed)) or 'none'}",
                )
        self._outputs[output.name] = output

    def finish(self) -> Plan:
        """The plan.

        Raises: PlanError if the script made no job, released nothing, or read without need.
        """
        if self._title is None:
            raise PlanError("the script makes no job", hint='start with job = mc2.Job("title")')
        if not self._outputs:
            raise PlanError(
                "the script releases nothing",
                hint='end with job.release("name", result, to=["party"])',
            )
        cheapest = {name: table.cheapest for name, table in self._catalog.datasets.items()}
        nodes, outputs = self._builder.finish(tuple(self._outputs.values()))
        inputs, nodes, outputs = prune(self._inputs, nodes, outputs, cheapest)
        # Owners compile the script again with the plan's own datasets and no others.
        unused = self._named - {i.dataset for i in inputs}
        if unused:
            raise PlanError(
                f"the script reads {min(unused)}, and no result needs it",
                hint="leave it out, or release what is computed from it",
            )
        return Plan(
            title=self._title,
            mode=self._mode,
            contract=self._catalog.contract,
            script_name=self._name,
            script=self._script,
            packages=self._packages,
            inputs=inputs,
            nodes=nodes,
            outputs=outputs,
        )


_CURRENT: ContextVar[Draft | None] = ContextVar("draft", default=None)


@contextmanager
def drafting(draft: Draft) -> Iterator[None]:
    """While this lasts, the API adds to this draft."""
    token = _CURRENT.set(draft)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_draft() -> Draft | None:
    """The draft of the script that is being compiled; None if none is."""
    return _CURRENT.get()
