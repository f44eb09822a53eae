"""DataFrames, as Spark Connect's client describes them, to the steps of a script.

Each kind of relation is one step in SQL, bound by the planner like any query. Hints and numbers of
partitions change no row and are passed over; whatever else has no step is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from mc2.errors import PlanError
from mc2.planner.connect import (
    cleaning,
    combining,
    counting,
    describing,
    estimates,
    grouping,
    projecting,
    sampling,
    subqueries,
    tails,
)
from mc2.planner.connect.expressions import Expressions
from mc2.planner.connect.frame import Frame, split_name
from mc2.planner.connect.local_rows import local_rows, too_many
from mc2.planner.connect.message import Json, Message, unsupported
from mc2.planner.connect.program import Program
from mc2.planner.connect.scope import OneFrame
from mc2.planner.connect.user_query import table_names, with_arguments

_MOST_ROWS: Final = 10**12


@dataclass(frozen=True, slots=True)
class View:
    """A DataFrame with a name, and the views that its own code saw when it was named."""

    relation: Json
    views: Views


_T = TypeVar("_T")

Views = Mapping[str, View]
"""Temporary views by name in lower case."""


class Relations:
    """Translates the relations of one plan into one program."""

    def __init__(self, program: Program, views: Views) -> None:
        self._program = program
        self._views = views
        self._done: dict[int, Frame] = {}
        self._named: dict[str, Frame] = {}

    @property
    def program(self) -> Program:
        """The program that steps are added to."""
        return self._program

    def frame(self, relation: object) -> Frame:
        """The steps of a DataFrame. Raises: PlanError for what has none."""
        message = Message(relation, "a DataFrame")
        common = Message(message.take("common", {}), "what is common to DataFrames")
        number = common.take("plan_id")
        plan_id = None if number is None else int(number)
        kind, inner = message.one()
        if plan_id is not None and plan_id in self._done:
            return self._done[plan_id]
        translate = _KINDS.get(kind)
        if translate is None:
            what, hint = _REFUSED.get(kind, (kind.replace("_", " "), ""))
            raise unsupported(what, hint)
        content = Message(inner, kind.replace("_", " "))
        found = translate(self, content).known_as(plan_id)
        content.done()
        if plan_id is not None:
            self._done[plan_id] = found
        return found

    def input(self, message: Message) -> Frame:
        """The DataFrame that one is made from. Raises: PlanError."""
        return self.frame(message.take("input"))

    def wider(self, relation: object) -> Frame | None:
        """What `select` gives, with the columns that it left out as hidden ones, if it is one."""
        message = Message(relation, "a DataFrame")
        message.take("common")
        kind, inner = message.one()
        if kind != "project" or not inner.get("expressions"):
            return None
        return projecting.widened(self, self.frame(inner["input"]), self.frame(relation), inner)

    def view(self, name: str) -> Frame | None:
        """A temporary view, if there is one of this name. Raises: PlanError."""
        known = name.casefold()
        view = self._views.get(known)
        if view is None:
            return None
        if known not in self._named:
            inner = Relations(self.program, view.views).frame(view.relation)
            columns = tuple(replace(c, qualifiers=((known,),)) for c in inner.visible)
            kept = {c.inner for c in columns}
            hidden = tuple(c for c in inner.columns if c.hidden and c.inner not in kept)
            self._named[known] = replace(inner, columns=(*columns, *hidden), origins={})
        return self._named[known]


def _read(self: Relations, message: Message) -> Frame:
    if message.flag("is_streaming"):
        raise unsupported("a stream")
    kind, inner = message.one()
    if kind != "named_table":
        raise unsupported(
            "reading files",
            'sealed tables are read by name: spark.read.table("party.table"); '
            "mc2 upload makes one of a file",
        )
    named = Message(inner, "a table")
    name = named.text("unparsed_identifier")
    if named.take("options"):
        raise unsupported("options of a table")
    named.done()
    parts = split_name(name)
    view = self.view(parts[0]) if len(parts) == 1 else None
    if view is not None:
        return view
    if len(parts) != 2:
        raise PlanError(f"there is no table {name!r}", hint="sealed tables are called party.table")
    return self.program.dataset(".".join(parts))


def _sql(self: Relations, message: Message) -> Frame:
    text = message.text("query")
    return user_query(self, text, message)


def user_query(self: Relations, text: str, message: Message) -> Frame:
    """A query of `spark.sql`. Raises: PlanError."""
    named = message.take("named_arguments", {}) or message.take("args", {})
    placed = message.items("pos_arguments") or message.items("pos_args")
    for name in ("args", "pos_args"):  # what older servers read; the others say the same
        message.take(name)
    text = with_arguments(text, named, placed)
    views = {}
    for name in table_names(text, tuple(self._views)):
        view = self.view(name)
        if view is not None:
            views[name.casefold()] = view
    return self.program.user_query(text, views)


def _with_relations(self: Relations, message: Message) -> Frame:
    root = message.take("root")
    named: dict[str, Json] = {}
    values: dict[int, Frame] = {}
    for reference in message.items("references"):
        inner = reference.get("subquery_alias")
        number = reference.get("common", {}).get("plan_id")
        if number is not None:
            values[int(number)] = self.frame(reference)
        if inner is not None:
            named[str(inner["alias"]).casefold()] = inner["input"]
    views = {**self._views, **{n: View(r, self._views) for n, r in named.items()}}
    whole = subqueries.filled(root, values, self.program) if values else root
    return Relations(self.program, views).frame(whole)


def _filter(self: Relations, message: Message) -> Frame:
    relation, condition_given = message.take("input"), message.take("condition")
    frame, condition = _over(
        self, relation, lambda frame: Expressions(OneFrame(frame)).value(condition_given)
    )
    return self.program.step(f"SELECT * FROM {frame.sql} WHERE {condition.sql}", frame)


def _over(self: Relations, relation: object, bind: Callable[[Frame], _T]) -> tuple[Frame, _T]:
    """Bind over a DataFrame; or, as Spark does, over a column that `select` just left out.

    Raises: PlanError.
    """
    frame = self.frame(relation)
    try:
        return frame, bind(frame)
    except PlanError:
        wider = self.wider(relation)
        if wider is None:
            raise
    return wider, bind(wider)


def _sort(self: Relations, message: Message) -> Frame:
    relation, given = message.take("input"), message.items("order")
    # Left out, it is no sort of the whole.
    if not message.flag("is_global"):
        raise unsupported("sortWithinPartitions", "use orderBy")

    def bind(frame: Frame) -> list[str]:
        scope = Expressions(OneFrame(frame))
        return [scope.sort_order(k) for k in given]

    frame, keys = _over(self, relation, bind)
    if not keys:
        raise PlanError("orderBy names no column")
    return self.program.step(f"SELECT * FROM {frame.sql} ORDER BY {', '.join(keys)}", frame)


def _limit(self: Relations, message: Message) -> Frame:
    return self.program.limit(self.input(message), _count(message, "limit"), 0)


def _offset(self: Relations, message: Message) -> Frame:
    return self.program.limit(self.input(message), None, _count(message, "offset"))


def _count(message: Message, name: str) -> int:
    number = message.integer(name, 0)
    if not 0 <= number <= _MOST_ROWS:
        raise PlanError(f"{name} takes 0 to {_MOST_ROWS} rows")
    return number


def _named(self: Relations, message: Message) -> Frame:
    frame = self.input(message)
    alias = message.text("alias")
    if message.items("qualifier"):
        raise unsupported("an alias with a qualifier")
    columns = tuple(c if c.hidden else replace(c, qualifiers=((alias,),)) for c in frame.columns)
    return replace(frame, columns=columns)


def _crosstab(self: Relations, message: Message) -> Frame:
    """Its columns are values of the data; say what gives the same with values that are public."""
    one, two = (str(message.text(name)) for name in ("col1", "col2"))
    frame = self.input(message)
    frame.find([one]), frame.find([two])
    raise unsupported(
        "crosstab, whose columns depend on the data,",
        f"name the values: df.groupBy({one!r}).pivot({two!r}, [...]).count().na.fill(0)",
    )


def _passed(*ignored: str) -> Callable[[Relations, Message], Frame]:
    """What only says how Spark should compute."""

    def translate(self: Relations, message: Message) -> Frame:
        for name in ignored:
            message.take(name)
        return self.input(message)

    return translate


def _repartitioned(self: Relations, message: Message) -> Frame:
    """Rows stay, their order is lost; the expressions must be there all the same."""
    frame = self.input(message)
    message.take("num_partitions")
    scope = Expressions(OneFrame(frame))
    for expression in message.items("partition_exprs"):
        scope.value(expression) if "sort_order" not in expression else None
    return frame


_Translate = Callable[[Relations, Message], Frame]
_KINDS: Final[Mapping[str, _Translate]] = {
    "read": _read,
    "sql": _sql,
    "with_relations": _with_relations,
    "filter": _filter,
    "sort": _sort,
    "limit": _limit,
    "offset": _offset,
    "subquery_alias": _named,
    "local_relation": local_rows,
    "cached_local_relation": too_many,
    "chunked_cached_local_relation": too_many,
    "crosstab": _crosstab,
    "hint": _passed("name", "parameters"),
    "repartition": _passed("num_partitions", "shuffle"),
    "repartition_by_expression": _repartitioned,
    **projecting.KINDS,
    **combining.KINDS,
    **grouping.KINDS,
    **cleaning.KINDS,
    **counting.KINDS,
    **describing.KINDS,
    **estimates.KINDS,
    **sampling.KINDS,
    **tails.KINDS,
}

_PYTHON: Final = (
    "a Python function over rows",
    "write it with pyspark.sql.functions or in SQL: a plan holds only what its owners can read",
)
_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "cached_remote_relation": ("a checkpoint", ""),
    "map_partitions": _PYTHON,
    "group_map": _PYTHON,
    "co_group_map": _PYTHON,
    "apply_in_pandas_with_state": _PYTHON,
    "common_inline_user_defined_table_function": _PYTHON,
    "common_inline_user_defined_data_source": _PYTHON,
    "lateral_join": ("a lateral join", "use join or a window"),
    "collect_metrics": ("observe", "aggregate the DataFrame instead"),
    "with_watermark": ("a stream", ""),
    "catalog": ("spark.catalog", "mc2 datasets lists the sealed tables"),
    "transpose": (
        "transpose",
        "its columns depend on the data: use groupBy, pivot with its values, or unpivot",
    ),
}


def translate(relation: Json, program: Program, views: Views) -> Frame:
    """The steps of one DataFrame in a program. Raises: PlanError."""
    try:
        return Relations(program, views).frame(relation)
    except RecursionError:
        raise PlanError(
            "the DataFrame is made of too many steps",
            hint="release a part of it as a job of its own",
        ) from None


def script_of(relation: Json, program: Program, views: Views, recipient: str) -> tuple[Frame, str]:
    """A DataFrame and the script that releases it to one party. Raises: PlanError."""
    frame = translate(relation, program, views)
    return frame, program.script(projecting.final(program, frame), recipient)
