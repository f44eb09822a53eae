"""Queries to nodes of a plan. Spec: docs/howto/write-a-script.md.

Each clause becomes its own nodes, in SQL's order (`mc2.planner.select`). Little is reordered to be
faster (the engine does that); the rewrites are those that the plan's readers gain from. What is
not understood whole is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from mc2.errors import PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef
from mc2.planner.dialects import check_dialect, rules_of
from mc2.planner.from_clause import Found
from mc2.planner.levels import TOP, Level
from mc2.planner.python_functions import PythonFunction
from mc2.planner.results import Results
from mc2.planner.select import Selection
from mc2.planner.select_direct import DirectSelection
from mc2.planner.set_operations import plan_set_operation
from mc2.planner.sql_text import QueryText, parse_query, refuse_others
from mc2.planner.subqueries import Direct, NotDirect
from mc2.planner.typed import Typed


def plan_query(  # noqa: PLR0913  # what a query may name, each under its own word
    text: str,
    builder: PlanBuilder,
    datasets: Callable[[str], int],
    names: Mapping[str, int],
    *,
    given: Sequence[str] = (),
    dialect: str = "spark",
    functions: Mapping[str, PythonFunction] | None = None,
) -> int:
    """Add a query's nodes and give the place of its result.

    `datasets` gives the scan of `party.table`; `names` are earlier results that FROM may name;
    `given` are those of them that stand as `{name}`; `functions` are those of the script, by name.
    Raises: PlanError with line and column.
    """
    tree, where = parse_query(text, given, dialect, functions)
    if dialect != "spark":
        check_dialect(tree, where, dialect)
        where = replace(where, rules=rules_of(dialect))
    for node in tree.find_all(exp.CTE):
        if node.alias in given:
            raise where.error(node, f"{node.alias!r} names a table given to this query, too")
    planner = _Planner(where, builder, datasets, dict(names))
    try:
        return planner.query(tree)
    except PlanError as error:
        if error.line:
            raise
        _, _, reason = str(error).partition("): ")  # a node's number says nothing to authors
        raise where.error(tree, reason or str(error), error.hint) from None
    except RecursionError:
        raise PlanError("the query nests too deeply", hint="name inner parts with WITH") from None


class _Planner:
    def __init__(
        self,
        where: QueryText,
        builder: PlanBuilder,
        datasets: Callable[[str], int],
        names: Mapping[str, int],
    ) -> None:
        self.where = where
        self.builder = builder
        self._datasets = datasets
        self._names = {name.casefold(): node for name, node in names.items()}
        self._results = Results(where, builder)

    # What stands in FROM (the protocol `Tables`).

    def table(self, node: exp.Table) -> Found:
        """A dataset, a view, or a WITH query. Raises: PlanError."""
        parts = [part.name for part in node.parts]
        if len(parts) == 1:
            found = self._names.get(parts[0].casefold())
            if found is None:
                raise self.where.error(
                    node,
                    f"there is no table {parts[0]!r} here",
                    "datasets are written party.table; results need job.view(name, table)",
                )
            return Found(found, parts[0], None)
        name = ".".join(parts).casefold()
        try:
            return Found(self._datasets(name), parts[-1], name)
        except PlanError as error:
            raise self.where.error(node, str(error), error.hint) from None

    def query(self, node: exp.Query, level: Level = TOP) -> int:
        """Plan a query with its WITH clause. Raises: PlanError."""
        outer = dict(self._names)
        try:
            self._bind_with(node.args.get("with_"))
            match node:
                case exp.Subquery():
                    return self._in_brackets(node, level)
                case exp.Select():
                    return Selection(self, self._results, node, level).plan()
                case exp.SetOperation():

                    def plan(branch: exp.Query) -> int:
                        return self.query(branch, level)

                    return plan_set_operation(node, self._results, plan, level)
                case _:
                    hint = "name a column"
                    raise self.where.error(node, f"{node.key.upper()} may not stand here", hint)
        finally:
            self._names = outer

    def _in_brackets(self, node: exp.Subquery, level: Level) -> int:
        """`(SELECT ...) ORDER BY a LIMIT 1`: a query in brackets, and what is cut of it."""
        known = ("this", "with_", "limit", "offset", "order")
        refuse_others(self.where, node, known, "brackets")
        inner = node.this
        if not isinstance(inner, exp.Query):
            raise self.where.error(node, "there is no query in the brackets")
        found = self.query(inner, level)
        if node.args.get("order") is not None:
            raise self.where.error(
                node.args["order"], "ORDER BY may not stand after brackets", "put it inside"
            )
        return self._results.cut(node, found, (), level)

    def direct(
        self, select: exp.Select, outer: Callable[[exp.Column], Typed | None], *, value: bool
    ) -> Direct:
        """Plan a subquery for a join on its conditions. Raises: NotDirect, PlanError."""
        if select.args.get("with_"):
            raise NotDirect
        return DirectSelection(self, self._results, select, Level(outer)).direct(value=value)

    def _bind_with(self, clause: exp.With | None) -> None:
        if clause is None:
            return
        refuse_others(self.where, clause, ("expressions",), "WITH")
        seen: set[str] = set()
        for part in clause.expressions:
            refuse_others(self.where, part, ("this", "alias"), "WITH")
            name = part.alias.casefold()
            if name in seen:
                raise self.where.error(part, f"WITH defines {part.alias!r} twice", "rename one")
            seen.add(name)
            node = self.query(part.this)
            columns = [c.name for c in part.args["alias"].columns]
            self._names[name] = self._renamed(part, node, columns) if columns else node

    def _renamed(self, part: exp.Expr, node: int, names: Sequence[str]) -> int:
        old = self.builder.schema(node).names
        if len(old) != len(names):
            raise self.where.error(
                part, f"the query has {len(old)} columns, and {len(names)} names are given"
            )
        pairs = [(new, ColumnRef(o)) for new, o in zip(names, old, strict=True)]
        return self._results.project(node, pairs, part)
