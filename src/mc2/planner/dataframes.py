"""`job.spark` in a script: DataFrames under PySpark's own names, without PySpark.

A script runs in a sandbox that has no gRPC and no network, so PySpark itself cannot be there. These
objects describe what PySpark's client would send, and the same translation makes steps of it: code
means in a script what it means over `mc2 connect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from mc2.errors import PlanError
from mc2.planner.connect.frame import Frame
from mc2.planner.connect.program import Program
from mc2.planner.connect.projecting import final
from mc2.planner.connect.relations import Relations, View
from mc2.planner.dataframe_columns import Column, column_of, columns_of
from mc2.planner.draft import Draft

Json = dict[str, Any]
_JOINS: Final = {
    "inner": "INNER", "cross": "CROSS", "outer": "FULL_OUTER", "full": "FULL_OUTER",
    "fullouter": "FULL_OUTER", "left": "LEFT_OUTER", "leftouter": "LEFT_OUTER",
    "right": "RIGHT_OUTER", "rightouter": "RIGHT_OUTER", "semi": "LEFT_SEMI",
    "leftsemi": "LEFT_SEMI", "anti": "LEFT_ANTI", "leftanti": "LEFT_ANTI",
}  # fmt: skip


class _Steps:
    """What all DataFrames of a script share: the plan, the views, a number for each."""

    def __init__(self, draft: Draft) -> None:
        self.program = Program(draft=draft)
        self.views: dict[str, View] = {}
        self._relations = Relations(self.program, {})
        self._count = 0

    def frame(self, relation: Json) -> tuple[int, Frame]:
        """A number for a DataFrame, and what it is. Raises: PlanError."""
        self._count += 1
        relation["common"] = {"plan_id": str(self._count)}
        return self._count, self._relations.frame(relation)


class Spark:
    """The part of a SparkSession that a script has."""

    __slots__ = ("_steps",)

    def __init__(self, draft: Draft) -> None:
        if not isinstance(draft, Draft):
            raise PlanError("it is job.spark")
        self._steps = _Steps(draft)

    @property
    def read(self) -> Spark:
        """So that `spark.read.table` is `spark.table`."""
        return self

    def table(self, name: str) -> DataFrame:
        """A sealed table, `party.table`. Raises: PlanError."""
        return DataFrame(self._steps, {"read": {"named_table": {"unparsed_identifier": name}}})

    def sql(self, query: str, **frames: DataFrame) -> DataFrame:
        """A query, in which `{name}` or `name` stands for a DataFrame. Raises: PlanError."""
        relation: Json = {"sql": {"query": query}}
        if frames:
            references = [
                {"subquery_alias": {"input": _relation_of(f), "alias": name}}
                for name, f in sorted(frames.items())
            ]
            relation = {"with_relations": {"root": relation, "references": references}}
        return DataFrame(self._steps, relation)


class DataFrame:
    """A DataFrame. It holds no rows: those exist in the enclave only."""

    __slots__ = ("_frame", "_plan_id", "_relation", "_steps")

    def __init__(self, steps: _Steps, relation: Json) -> None:
        if not isinstance(steps, _Steps):
            raise PlanError("DataFrames come from job.spark")
        self._steps = steps
        self._relation = relation
        self._plan_id, self._frame = steps.frame(relation)

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return [c.name for c in self._frame.visible]

    def node(self) -> int:
        """The place of its rows in the plan. Raises: PlanError."""
        return final(self._steps.program, self._frame).node

    def __getitem__(self, name: object) -> Column:
        if not isinstance(name, str):
            raise PlanError("df[...] takes a column's name", hint='df["age"]')
        attribute = {"unparsed_identifier": name, "plan_id": str(self._plan_id)}
        found = Column({"unresolved_attribute": attribute})
        self._frame.known_as(self._plan_id).find([name])
        return found

    def __bool__(self) -> NoReturn:
        raise PlanError("a script cannot branch on a DataFrame", hint="its rows are not there")

    __iter__ = None

    def _made(self, kind: str, **content: object) -> DataFrame:
        return DataFrame(self._steps, {kind: {"input": self._relation, **content}})

    def select(self, *columns: object) -> DataFrame:
        """These columns. Raises: PlanError."""
        return self._made("project", expressions=columns_of(columns))

    def selectExpr(self, *texts: str) -> DataFrame:  # noqa: N802 - PySpark's name
        """Columns as SQL expressions. Raises: PlanError."""
        expressions = [{"expression_string": {"expression": text}} for text in texts]
        return self._made("project", expressions=expressions)

    def filter(self, condition: object) -> DataFrame:
        """The rows for which a condition, or its text, is true. Raises: PlanError."""
        if isinstance(condition, str):
            condition = Column({"expression_string": {"expression": condition}})
        return self._made("filter", condition=column_of(condition).expression)

    where = filter  # noqa: A003 - PySpark's name

    def withColumn(self, name: str, value: object) -> DataFrame:  # noqa: N802
        """One column more, or another in its place. Raises: PlanError."""
        alias = {"expr": column_of(value).expression, "name": [name]}
        return self._made("with_columns", aliases=[alias])

    def withColumnRenamed(self, old: str, new: str) -> DataFrame:  # noqa: N802
        """A column under another name."""
        return self._made("with_columns_renamed", renames=[{"col_name": old, "new_col_name": new}])

    def drop(self, *columns: object) -> DataFrame:
        """Without these columns."""
        names = [c for c in columns if isinstance(c, str)]
        others = [c.expression for c in columns if isinstance(c, Column)]
        return self._made("drop", column_names=names, columns=others)

    def alias(self, name: str) -> DataFrame:
        """The same, which `name.column` may be said of."""
        return self._made("subquery_alias", alias=name)

    def groupBy(self, *columns: object) -> Grouped:  # noqa: N802
        """Groups of rows that are alike in these columns."""
        return Grouped(self, "GROUPBY", columns_of(columns))

    def rollup(self, *columns: object) -> Grouped:
        """Groups by all these columns, by all but the last, and so on."""
        return Grouped(self, "ROLLUP", columns_of(columns))

    def cube(self, *columns: object) -> Grouped:
        """Groups by each choice of these columns."""
        return Grouped(self, "CUBE", columns_of(columns))

    def agg(self, *values: object) -> DataFrame:
        """One row of aggregates. Raises: PlanError."""
        return self.groupBy().agg(*values)

    def join(self, other: DataFrame, on: object = None, how: str = "inner") -> DataFrame:
        """The pairs of rows that fit, by names of columns or a condition. Raises: PlanError."""
        kind = _JOINS.get(how.lower().replace("_", ""))
        if kind is None:
            raise PlanError(f"there is no join {how!r}", hint=", ".join(_JOINS))
        content: Json = {
            "left": self._relation,
            "right": _relation_of(other),
            "join_type": f"JOIN_TYPE_{kind}",
        }
        if isinstance(on, str):
            content["using_columns"] = [on]
        elif isinstance(on, (list, tuple)) and all(isinstance(o, str) for o in on):
            content["using_columns"] = list(on)
        elif on is not None:
            content["join_condition"] = column_of(on).expression
        return DataFrame(self._steps, {"join": content})

    def crossJoin(self, other: DataFrame) -> DataFrame:  # noqa: N802
        """All pairs of rows."""
        return self.join(other, how="cross")

    def _set(self, kind: str, other: DataFrame, **more: bool) -> DataFrame:
        content = {
            "left_input": self._relation,
            "right_input": _relation_of(other),
            "set_op_type": f"SET_OP_TYPE_{kind}",
            **more,
        }
        return DataFrame(self._steps, {"set_op": content})

    def union(self, other: DataFrame) -> DataFrame:
        """All rows of both, column by column in order."""
        return self._set("UNION", other, is_all=True)

    unionAll = union  # noqa: N815

    def unionByName(  # noqa: N802
        self,
        other: DataFrame,
        *,
        allowMissingColumns: bool = False,  # noqa: N803
    ) -> DataFrame:
        """All rows of both, column by column of one name."""
        missing = allowMissingColumns
        return self._set("UNION", other, is_all=True, by_name=True, allow_missing_columns=missing)

    def intersect(self, other: DataFrame) -> DataFrame:
        """The rows that both have, each once."""
        return self._set("INTERSECT", other)

    def subtract(self, other: DataFrame) -> DataFrame:
        """The rows that the other has not, each once."""
        return self._set("EXCEPT", other)

    def distinct(self) -> DataFrame:
        """Each row once."""
        return self._made("deduplicate", all_columns_as_keys=True)

    def dropDuplicates(self, subset: Sequence[str] = ()) -> DataFrame:  # noqa: N802
        """One row for each combination of these columns: the least."""
        if not subset:
            return self.distinct()
        return self._made("deduplicate", column_names=list(subset))

    def orderBy(self, *columns: object, ascending: bool = True) -> DataFrame:  # noqa: N802
        """The rows in an order. Raises: PlanError."""
        keys = [Column(c) for c in columns_of(columns)]
        order = [(k if ascending else k.desc()).sort_key() for k in keys]
        return self._made("sort", order=order, is_global=True)

    sort = orderBy

    def limit(self, count: int) -> DataFrame:
        """The first rows, in the DataFrame's order. Raises: PlanError."""
        return self._made("limit", limit=count)

    def offset(self, count: int) -> DataFrame:
        """Without the first rows. Raises: PlanError."""
        return self._made("offset", offset=count)

    def fillna(self, value: object, subset: Sequence[str] = ()) -> DataFrame:
        """Values in the place of NULL and NaN; `value` may be a dictionary by column."""
        if isinstance(value, Mapping):
            values = [column_of(v, literal=True).expression["literal"] for v in value.values()]
            return self._made("fill_na", cols=list(value), values=values)
        one = [column_of(value, literal=True).expression["literal"]]
        return self._made("fill_na", cols=list(subset), values=one * max(len(subset), 1))

    def dropna(
        self, how: str = "any", thresh: int | None = None, subset: Sequence[str] = ()
    ) -> DataFrame:
        """Without rows that hold NULL or NaN."""
        content: Json = {"cols": list(subset)}
        if thresh is not None or how == "all":
            content["min_non_nulls"] = 1 if thresh is None else thresh
        return self._made("drop_na", **content)


class Grouped:
    """Rows in groups, which become one row each."""

    __slots__ = ("_frame", "_keys", "_kind", "_pivot")

    def __init__(
        self, frame: DataFrame, kind: str, keys: list[Json], pivot: Json | None = None
    ) -> None:
        self._frame = frame
        self._kind = kind
        self._keys = keys
        self._pivot = pivot

    def agg(self, *values: object) -> DataFrame:
        """One row for each group. Raises: PlanError."""
        content: Json = {
            "group_type": f"GROUP_TYPE_{self._kind}",
            "grouping_expressions": self._keys,
            "aggregate_expressions": columns_of(values),
        }
        if self._pivot is not None:
            content["pivot"] = self._pivot
        return self._frame._made("aggregate", **content)  # noqa: SLF001 - one API

    def pivot(self, column: str, values: Sequence[object]) -> Grouped:
        """A column of the result for each of these values."""
        literals = [column_of(v, literal=True).expression["literal"] for v in values]
        pivot = {"col": column_of(column).expression, "values": literals}
        return Grouped(self._frame, "PIVOT", self._keys, pivot)

    def count(self) -> DataFrame:
        """How many rows each group has."""
        return self.agg(Column.call("count", Column.literal(1)).alias("count"))

    def _each(self, function: str, names: Sequence[str]) -> DataFrame:
        if not names:
            raise PlanError(f"{function} names no column")
        return self.agg(*(Column.call(function, column_of(n)) for n in names))

    def sum(self, *names: str) -> DataFrame:
        """Sums of columns."""
        return self._each("sum", names)

    def avg(self, *names: str) -> DataFrame:
        """Means of columns."""
        return self._each("avg", names)

    def min(self, *names: str) -> DataFrame:
        """Least values of columns."""
        return self._each("min", names)

    def max(self, *names: str) -> DataFrame:
        """Greatest values of columns."""
        return self._each("max", names)


def _relation_of(value: object) -> Json:
    if not isinstance(value, DataFrame):
        raise PlanError(f"a {type(value).__name__} is no DataFrame of this script")
    return value._relation  # noqa: SLF001 - scripts have no such name: one place reads it
