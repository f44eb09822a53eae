"""A Spark session: views, settings, running operations, and what DataFrame code becomes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar
from uuid import uuid4

import pyarrow as pa

from mc2.client.connect import requests
from mc2.client.connect.answers import Columns, table_responses
from mc2.client.connect.checkpoints import without_checkpoints
from mc2.client.connect.functions import Functions, called
from mc2.client.connect.jobs import Runner
from mc2.client.connect.operations import Operation, Produce
from mc2.client.connect.proto import base_pb2, relations_pb2
from mc2.client.connect.settings import Settings
from mc2.client.connect.shown import show_string
from mc2.errors import PlanError, UsageError
from mc2.formats.schema import DataType
from mc2.planner.connect.frame import Frame
from mc2.planner.connect.message import Json, Message, unsupported
from mc2.planner.connect.program import Program
from mc2.planner.connect.relations import View, Views, script_of, translate

_MOST_SHOWN: Final = 1_000_000
_PYTHON: Final = (
    "a Python function over rows",
    "write it with pyspark.sql.functions or in SQL: a plan holds only what its owners can read",
)
_WRITING: Final = ("writing a DataFrame", "toPandas() or toArrow() gives its rows here")
_COMMANDS_REFUSED: Final[Mapping[str, tuple[str, str]]] = {
    "register_function": _PYTHON,
    "register_table_function": _PYTHON,
    "write_operation": _WRITING,
    "write_operation_v2": _WRITING,
}

_T = TypeVar("_T")


class Session:
    """One client's session. Its methods may be called from several threads."""

    def __init__(self, session_id: str, runner: Runner, tell: Callable[[str], None]) -> None:
        self.session_id = session_id
        self.server_side_id = str(uuid4())
        self.settings = Settings()
        self._runner = runner
        self._tell = tell
        self._lock = threading.Lock()
        self._views: Views = {}
        self._functions = Functions()
        self._checkpoints: dict[str, Json] = {}
        self._operations: dict[str, Operation] = {}

    # what is asked about a DataFrame, without running it

    def frame(self, relation: Json) -> Frame:
        """What a DataFrame is, by its types alone. Raises: PlanError."""
        known = self._known(relation)
        return self._translated(known, lambda program: translate(known, program, self._views))

    def script(self, relation: Json, *, fresh: bool = False) -> tuple[Frame, str]:
        """The script of a DataFrame. Raises: PlanError."""
        recipient = self._runner.recipient
        known = self._known(relation)
        return self._translated(
            known,
            lambda program: script_of(known, program, self._views, recipient),
            fresh=fresh,
        )

    def _known(self, relation: Json) -> Json:
        """A DataFrame without what is known here alone. Raises: PlanError."""
        known: Json = without_checkpoints(relation, dict(self._checkpoints))
        found: Json = self._functions.rewritten(known)
        return found

    def explain(self, relation: Json) -> str:
        """The script and the plan of a DataFrame. Raises: PlanError."""
        return self._runner.words(self.script(relation)[1])

    def _translated(
        self, relation: Json, make: Callable[[Program], _T], *, fresh: bool = False
    ) -> _T:
        """Make something over the known datasets; once more over the newest if one is unknown."""
        try:
            return make(self._program(relation, fresh=fresh))
        except PlanError as error:
            if fresh or "there is no dataset" not in str(error):
                raise
        return make(self._program(relation, fresh=True))

    def _program(self, relation: Json, *, fresh: bool) -> Program:
        known = self._runner.catalog(fresh=fresh)
        program = Program(known, public_rows=self._runner.public_rows)
        wanted = {*called(relation), *called([v.relation for v in self._views.values()])}
        for name, source in self._functions.defined.items():
            if name in wanted:
                program.define(name, source.text, source.returns)
        return program

    # running

    def execute(self, request: base_pb2.ExecutePlanRequest) -> Operation:
        """Begin what the client asks for. Raises: PlanError, UsageError."""
        operation_id = request.operation_id or str(uuid4())
        kind, message = requests.operation(request.plan)
        produce = self._relation(message) if kind == "root" else self._command(message)
        operation = Operation(operation_id, tuple(request.tags), produce)
        with self._lock:
            if operation_id in self._operations:
                raise UsageError(f"the operation {operation_id} runs already")
            self._operations[operation_id] = operation
        operation.start()
        return operation

    def operation(self, operation_id: str) -> Operation:
        """A running operation. Raises: UsageError with Spark's name for one that is not there."""
        with self._lock:
            found = self._operations.get(operation_id)
        if found is None:
            raise UsageError(f"[INVALID_HANDLE.OPERATION_NOT_FOUND] there is no {operation_id}")
        return found

    def release(self, operation_id: str, until: str | None) -> bool:
        """Forget responses that the client has. Says whether the operation was there."""
        with self._lock:
            found = self._operations.get(operation_id)
            if found is not None and until is None:
                del self._operations[operation_id]
        if found is None:
            return False
        if until is None and not found.done:
            found.stop()
        found.release(until)
        return True

    def interrupt(self, wanted: Callable[[Operation], bool]) -> list[str]:
        """Stop waiting for operations. Gives their ids."""
        with self._lock:
            chosen = [o for o in self._operations.values() if not o.done and wanted(o)]
        for operation in chosen:
            operation.stop()
        return [o.operation_id for o in chosen]

    def _relation(self, relation: Json) -> Produce:
        shown = Message(relation, "a DataFrame")
        shown.take("common")
        kind, inner = shown.one()
        if kind == "show_string":
            return self._show(Message(inner, "show"))
        if kind == "html_string":
            raise unsupported("a DataFrame as HTML", "use show() or toPandas()")
        if kind == "catalog":
            return self._catalog(inner)
        return lambda stopped: self._rows(relation, stopped)

    def _rows(
        self, relation: Json, stopped: Callable[[], bool]
    ) -> Iterator[base_pb2.ExecutePlanResponse]:
        table, columns = self._answer(relation, stopped)
        yield from table_responses(table, columns)

    def _answer(self, relation: Json, stopped: Callable[[], bool]) -> tuple[pa.Table, Columns]:
        frame, script = self.script(relation, fresh=True)
        table = self._runner.run(script, self._tell, stopped)
        visible = frame.visible
        columns = [(c.name, c.type, c.nullable) for c in visible]
        return table.select(range(len(visible))), columns

    def _show(self, message: Message) -> Produce:
        relation = message.take("input")
        count = min(max(message.integer("num_rows", 0), 0), _MOST_SHOWN)
        truncate, vertical = message.integer("truncate", 0), message.flag("vertical")
        message.done()
        limited = {"limit": {"input": relation, "limit": count + 1}}

        def produce(stopped: Callable[[], bool]) -> Iterator[base_pb2.ExecutePlanResponse]:
            table, columns = self._answer(limited, stopped)
            names = [name for name, _, _ in columns]
            text = show_string(names, table, count=count, truncate=truncate, vertical=vertical)
            yield from _one_value("show_string", DataType("string"), text)

        return produce

    # commands

    def _command(self, command: Json) -> Produce:
        kind, inner = Message(command, "a command").one()
        if kind == "sql_command":
            return self._sql(Message(inner, "spark.sql"))
        if kind == "checkpoint_command":
            return self._checkpoint(Message(inner, "a checkpoint"))
        if kind == "remove_cached_remote_relation_command":
            self._checkpoints.pop(str(inner.get("relation", {}).get("relation_id")), None)
            return lambda _stopped: iter(())
        if kind == "create_dataframe_view":
            self._create_view(Message(inner, "a view"))
            return lambda _stopped: iter(())
        what, hint = _COMMANDS_REFUSED.get(kind, (kind.replace("_", " "), ""))
        raise unsupported(what, hint)

    def _sql(self, message: Message) -> Produce:
        relation = message.take("input")
        if relation is None:
            relation = {"sql": {"query": message.text("sql")}}
        for name in ("sql", "args", "pos_args", "named_arguments", "pos_arguments"):
            message.take(name)  # what older clients read; `input` says the same
        message.done()
        self.frame(relation)  # a query that cannot be planned is refused here, as Spark does

        def produce(_stopped: Callable[[], bool]) -> Iterator[base_pb2.ExecutePlanResponse]:
            response = base_pb2.ExecutePlanResponse()
            response.sql_command_result.relation.CopyFrom(
                requests.message(relation, relations_pb2.Relation())
            )
            yield response

        return produce

    def _checkpoint(self, message: Message) -> Produce:
        """Keep a DataFrame's code under a number. Its rows are kept nowhere, as with `cache`."""
        relation = message.take("relation")
        for name in ("local", "eager", "storage_level"):
            message.take(name)
        message.done()
        self.frame(relation)
        number = str(uuid4())
        self._checkpoints[number] = without_checkpoints(relation, dict(self._checkpoints))

        def produce(_stopped: Callable[[], bool]) -> Iterator[base_pb2.ExecutePlanResponse]:
            response = base_pb2.ExecutePlanResponse()
            response.checkpoint_command_result.relation.relation_id = number
            yield response

        return produce

    def _create_view(self, message: Message) -> None:
        name, relation = message.text("name"), message.take("input")
        replace = message.flag("replace")
        if message.flag("is_global"):
            raise unsupported("a global view", "use createOrReplaceTempView")
        message.done()
        if not name.isidentifier() or not name.isascii():
            raise PlanError(f"{name!r} is no name for a view", hint="use letters, digits and _")
        with self._lock:
            if name.casefold() in self._views and not replace:
                raise PlanError(
                    f"there is a view {name!r} already", hint="use createOrReplaceTempView"
                )
        self.frame(relation)
        with self._lock:
            views = self._views
            known = self._known(relation)
            self._views = {**views, name.casefold(): View(known, views)}

    def _catalog(self, inner: Json) -> Produce:
        kind, content = Message(inner, "spark.catalog").one()
        if kind != "drop_temp_view":
            raise unsupported(f"spark.catalog.{_camel(kind)}", "mc2 datasets lists sealed tables")
        name = Message(content, "a view").text("view_name").casefold()
        with self._lock:
            there = name in self._views
            self._views = {n: v for n, v in self._views.items() if n != name}
        return lambda _stopped: _one_value("value", DataType("boolean"), there)

    def close(self) -> None:
        """Stop waiting for whatever runs."""
        self.interrupt(lambda _: True)


def _one_value(name: str, kind: DataType, value: object) -> Iterator[base_pb2.ExecutePlanResponse]:
    return table_responses(pa.table({name: [value]}), [(name, kind, False)])


def _camel(words: str) -> str:
    first, *rest = words.split("_")
    return first + "".join(w.title() for w in rest)
