"""What a script is written with: a job, its tables, and what it releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mc2.errors import FormatError, PlanError, UsageError
from mc2.formats.secret_value import is_secret_value
from mc2.planner.boosters import Booster
from mc2.planner.drafted import node_of
from mc2.planner.estimators import XGBModel
from mc2.planner.linear import Estimator
from mc2.planner.tables import Table

if TYPE_CHECKING:  # `import mc2` stays light: these are loaded when a script is compiled
    from mc2.planner.dataframes import DataFrame, Spark
    from mc2.planner.draft import Draft

_TITLE_LENGTH: Final = 200
_MODES: Final = ("encrypted", "oblivious")


class Job:
    """One computation that all owners agree on. A script makes exactly one.

    `title` is one line that says what it is for; every reviewer reads it. `mode` is how the
    enclave computes: `encrypted` keeps data from everybody outside it; `oblivious` also hides all
    that memory accesses, branches and sizes would tell, and takes longer.
    """

    __slots__ = ("_draft", "_spark")

    def __init__(self, title: str, *, mode: str = "encrypted") -> None:
        from mc2.planner.draft import current_draft

        draft = current_draft()
        if draft is None:
            raise UsageError(
                "a job describes work for enclaves, and is made while a script is compiled",
                hint="save the script, then `mc2 propose script.py`",
            )
        if not isinstance(title, str) or not 1 <= len(title) <= _TITLE_LENGTH or "\n" in title:
            raise PlanError(f"a job's title is one line of 1 to {_TITLE_LENGTH} characters")
        if mode not in _MODES:
            raise PlanError(f"there is no mode {mode!r}", hint=f"use {' or '.join(_MODES)}")
        draft.start(title, mode)
        self._draft = draft
        self._spark: Spark | None = None

    def table(self, dataset: str) -> Table:
        """A dataset of the collaboration, `party.table`. Raises: PlanError if there is none."""
        return Table(self._draft, self._draft.dataset(_text(dataset, "a dataset")))

    def kept(self, name: str) -> Any:
        """A result that an earlier job kept sealed: a table, in SQL called `kept.name`, or a model.

        A model is a `Booster` or a fitted model of `mc2.linear` or `mc2.clusters`; it predicts,
        and nothing else is done with it. All who keep it must approve this job too.
        Raises: PlanError if there is none.
        """
        from mc2.formats.result import kept_name
        from mc2.plan.training import Train
        from mc2.planner.linear import fitted_estimator

        full = kept_name(_name(name, "a kept result"))
        found = self._draft.kept_model(full)
        if found is None:
            return self.table(full)
        node, facts = found
        if isinstance(facts.operation, Train):
            return Booster(self._draft, node)
        return fitted_estimator(facts.operation, facts.matrix.features, node)

    def secret(self, name: str) -> Table:
        """A secret value, `party.name`, as a table of one cell: its owner sealed it (`mc2 secret`).

        A query compares with it as `(SELECT secret_value FROM {limit})`. Nobody sees it but its
        owner and the enclave; everybody sees that it is used. Raises: PlanError.
        """
        table = self.table(name)
        if not is_secret_value(table.column_names, table.row_bound):
            raise PlanError(
                f"{name} is a table and no secret value", hint="seal it with: mc2 secret NAME"
            )
        return table

    def public_table(
        self, name: str, data: object, *, types: Mapping[str, str] | None = None
    ) -> Table:
        """A table that the script itself holds: everybody reads it, and the review says so.

        `data` is a dict of columns or a list of rows, each a dict; `types` gives columns a type
        where Python's does not do: `{"rate": "decimal(9,2)"}`. Queries may use `name` in FROM, and
        join it with sealed tables. Raises: PlanError.
        """
        from mc2.planner.public_rows import public_rows

        table = Table(self._draft, self._draft.add(public_rows(data, types)))
        return self.view(name, table)

    def sql(self, query: str, *, dialect: str = "spark", **tables: Table) -> Table:
        """The result of a query in Spark's SQL, or in that of `dialect`: `duckdb` or `postgres`.

        Datasets are written `party.table`. An earlier result is handed over by name and written
        in braces: `job.sql("SELECT ... FROM {visits}", visits=visits)`.

        Raises: PlanError, with the line and column of what cannot be planned.
        """
        given = {name: self._own(name, table) for name, table in tables.items()}
        node = self._draft.query(_text(query, "a query"), given, _text(dialect, "a dialect"))
        return Table(self._draft, node)

    @property
    def spark(self) -> Spark:
        """DataFrames under PySpark's names: `job.spark.table("party.table").filter(...)`."""
        from mc2.planner.dataframes import Spark

        if self._spark is None:
            self._spark = Spark(self._draft)
        return self._spark

    def udf(self, *given: object, **options: object) -> Any:
        """A Python function over the values of a row, for queries and DataFrames.

        `@job.udf("double")` stands above a function, or `f = job.udf(f, "double")` after it; the
        type is what the function returns. It is never run: its source is read as expressions.
        Raises: PlanError for what is not of the small part of Python that means the same there.
        """
        from mc2.planner.python_sources import script_function

        return script_function(*given, **options)

    def view(self, name: str, table: Table) -> Table:
        """Give a table a name that later queries may use in FROM. Raises: PlanError."""
        self._draft.view(_name(name, "a view's name"), self._own(name, table))
        return table

    def release(
        self,
        name: str,
        value: Table | DataFrame | Booster | XGBModel | Estimator,
        to: Sequence[str],
    ) -> None:
        """Let a table or a model leave the enclave, sealed for some members and nobody else.

        Raises: PlanError if a recipient is not one under the contract, or the name is taken.
        """
        from mc2.plan.plan import PlanOutput

        parties = [to] if isinstance(to, str) else to
        if not isinstance(parties, (list, tuple)) or not parties:
            raise PlanError("to= names at least one member", hint='write to=["clinic_a"]')
        recipients = tuple(sorted({_name(party, "a recipient") for party in parties}))
        kind, node = self._outgoing(value, "released", "release")
        output = PlanOutput(
            name=_name(name, "a result's name"), node=node, kind=kind, recipients=recipients
        )
        self._draft.release(output)

    def keep(self, value: Table | DataFrame | Booster | XGBModel | Estimator, name: str) -> None:
        """Keep a table or a model sealed for later jobs: nobody receives it or opens it alone.

        Its key is split among the owners of all that it derives from. A later job has it as
        `job.kept(name)`, if all of them approve that job. Raises: PlanError.
        """
        from mc2.plan.plan import PlanOutput

        kind, node = self._outgoing(value, "kept", "keep")
        self._draft.release(
            PlanOutput(
                name=_name(name, "a kept result"), node=node, kind=kind, recipients=(), keep=True
            )
        )

    def _outgoing(self, value: Any, done: str, what: str) -> tuple[str, int]:
        """The kind and the node of a table or a model. Raises: PlanError for anything else."""
        value = _table_of(value, self._draft)
        if isinstance(value, Table):
            return "table", self._own("value", value)
        if isinstance(value, (Booster, Estimator, XGBModel)):
            model = value.get_booster() if isinstance(value, XGBModel) else value
            return "model", node_of(model)
        raise PlanError(
            f"a {type(value).__name__} cannot be {done}", hint=f"{what} a table or a model"
        )

    def release_to_owners(
        self, name: str, model: Booster | XGBModel | Estimator, data: object, /, **options: Any
    ) -> None:
        """Let each owner have the predictions for its own rows, and nobody else's.

        `data` is a table or a list of them; each row must come from one owner's datasets alone.
        `options` are those of the model's `predict`. Each owner gets one result, called by the
        name and the owner's: `risk_clinic_a`.

        Raises: PlanError if a table joins rows of several owners.
        """
        from mc2.planner.owners import predict_by_owner

        title = _name(name, "a result's name")
        tables = data if isinstance(data, (list, tuple)) else [data]
        nodes = [self._own("data", table) for table in tables]
        for owner, table in predict_by_owner(self._draft, model, nodes, options).items():
            self.release(f"{title}_{owner}", table, to=[owner])

    def _own(self, name: str, table: object) -> int:
        table = _table_of(table, self._draft)
        if not isinstance(table, Table):
            raise PlanError(f"{name}= is a {type(table).__name__}, not a table")
        return node_of(table)

    def __repr__(self) -> str:
        return "Job()"


def _table_of(value: Any, draft: Draft) -> Any:
    """A DataFrame of `job.spark` as a table; anything else as it is."""
    from mc2.planner.dataframes import DataFrame

    return Table(draft, value.node()) if isinstance(value, DataFrame) else value


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{what} is given as text, not as a {type(value).__name__}")
    return value


def _name(value: object, what: str) -> str:
    from mc2.formats.fields import check_name

    try:
        return check_name(_text(value, what), what)
    except FormatError as error:
        raise PlanError(str(error), hint=error.hint) from None
