"""The script that DataFrame code becomes, a statement for each step, bound while it is written.

The script is what owners review, sign and compile again; so DataFrame code has no meaning but that
of its script. Each step is planned at once, over the same catalog, for its columns and types.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from mc2.errors import PlanError
from mc2.formats.schema import Column, Schema
from mc2.plan.relations import Limit
from mc2.plan.shapes import TableShape
from mc2.planner.catalog import Catalog
from mc2.planner.connect.ddl import declared
from mc2.planner.connect.frame import Frame, FrameColumn, carried, quoted, unique
from mc2.planner.draft import Draft
from mc2.planner.python_functions import python_function

TITLE: Final = "DataFrame"
OUTPUT: Final = "result"
_NOT_ARGUMENTS: Final = ("query", "dialect", "self")


class Program:
    """One DataFrame's script in the making."""

    def __init__(
        self,
        catalog: Catalog | None = None,
        *,
        draft: Draft | None = None,
        public_rows: bool = False,
    ) -> None:
        if draft is None:
            if catalog is None:
                raise PlanError("DataFrames are planned over a catalog")
            draft = Draft(catalog, name="dataframe.py", script="", packages={})
        self._draft = draft
        self.public_rows = public_rows
        self._lines: list[str] = []
        self._functions: dict[str, list[str]] = {}
        self._nested: dict[str, Frame] = {}
        self._count = 0

    def define(self, name: str, text: str, returns: str) -> None:
        """A Python function that steps may call, by its source: a `def` or a lambda.

        It stands in the script if a step calls it. Raises: PlanError for what is none over rows.
        """
        try:
            node = ast.parse(text if text.startswith(("def", "@")) else f"({text})").body[0]
        except SyntaxError:
            raise PlanError(f"the source of {name} cannot stand alone") from None
        tree = node.value if isinstance(node, ast.Expr) else node
        if not isinstance(tree, (ast.FunctionDef, ast.Lambda)):
            raise PlanError(f"the source of {name} is no function")
        self._draft.define(python_function(tree, name, declared(returns)))
        kind, given = _python_text(returns), _python_text(name)
        if isinstance(tree, ast.Lambda):
            lines = [f"{name} = job.udf({text}, {kind}, name={given})"]
        else:
            own = "\n".join(text.split("\n")[tree.lineno - 1 :])  # without decorators
            lines = [own, f"{name} = job.udf({tree.name}, {kind}, name={given})"]
        self._functions[name] = lines

    def _called(self) -> list[str]:
        """The definitions of functions that some step calls."""
        steps = "\n".join(self._lines).lower()
        return [line for n, lines in self._functions.items() if f"{n}(" in steps for line in lines]

    def dataset(self, name: str) -> Frame:
        """A sealed table, `party.table`. Raises: PlanError if there is none."""
        node = self._draft.dataset(name)
        known = name.casefold()
        party, table = known.split(".")
        around = ((party, table), (table,))
        return Frame(known, node, self._columns(self._schema(node), around))

    def query(self, text: str, given: Sequence[Frame]) -> tuple[str, int]:
        """A step in SQL over earlier steps. Gives its variable and node. Raises: PlanError."""
        inside = {n: f for n, f in self._nested.items() if f.sql in text}
        return self._sql(text, inside | {f.source: f for f in given if f.is_variable})

    def nested(self, frame: Frame) -> str:
        """How any later step may name a frame in a query inside of it."""
        if frame.is_variable:
            self._nested[frame.source] = frame
        return frame.sql

    def public(self, text: str) -> Frame:
        """A step that holds rows itself, for everybody to read. Raises: PlanError."""
        variable, node = self.query(text, ())
        return Frame(variable, node, self._columns(self._schema(node)))

    def user_query(self, text: str, views: Mapping[str, Frame]) -> Frame:
        """A query in its author's words, in which views are named. Raises: PlanError."""
        for name in views:
            if not name.isidentifier() or keyword.iskeyword(name) or name in _NOT_ARGUMENTS:
                raise PlanError(f"a query cannot name the view {name!r}", hint="call it otherwise")
            if name.startswith("__") or not name.isascii():
                raise PlanError(f"a query cannot name the view {name!r}", hint="call it otherwise")
        given = {name: self.named(frame) for name, frame in views.items()}
        variable, node = self._sql(text, given, keep_place=True)
        return Frame(variable, node, self._columns(self._schema(node)))

    def named(self, frame: Frame) -> Frame:
        """The same rows in a variable of the script, with the columns' shown names, no others."""
        columns = frame.visible
        names = [c.name for c in columns]
        if unique(names) != names:
            twice = next(n for n, fresh in zip(names, unique(names), strict=True) if n != fresh)
            raise PlanError(f"two columns of the view are called {twice!r}", hint="rename one")
        plain = len(columns) == len(frame.columns) and all(c.name == c.inner for c in columns)
        if not plain:
            items = ", ".join(f"{quoted(c.inner)} AS {quoted(c.name)}" for c in columns)
            return self.step(f"SELECT {items} FROM {frame.sql}", frame, columns)
        if frame.is_variable:
            return frame
        variable = self._variable()
        self._lines.append(f"{variable} = job.table({_python_text(frame.source)})")
        return replace(frame, source=variable)

    def step(
        self,
        text: str,
        frame: Frame,
        columns: Sequence[FrameColumn] | None = None,
        *,
        others: Sequence[Frame] = (),
    ) -> Frame:
        """A step over a frame that keeps its columns, or gives these names; types are the plan's.

        The columns' inner names must be those that the query gives. Raises: PlanError.
        """
        variable, node = self.query(text, (frame, *others))
        schema = self._schema(node)
        wanted = frame.columns if columns is None else columns
        if len(wanted) != len(schema):
            raise PlanError("a step gave other columns than it was written for")
        typed = tuple(
            replace(w, inner=c.name, type=c.type, nullable=c.nullable)
            for w, c in zip(wanted, schema.columns, strict=True)
        )
        there = {c.inner for c in typed}
        origins = carried(frame.origins, lambda name: name if name in there else "")
        return Frame(variable, node, typed, origins)

    def limit(self, frame: Frame, count: int | None, offset: int) -> Frame:
        """The first rows, in the frame's order. Raises: PlanError."""
        source = frame if frame.is_variable else self._as_variable(frame)
        node = self._draft.add(Limit(source.node, count, offset))
        variable = self._variable()
        arguments = str(count) if count is not None else "None"
        arguments += f", offset={offset}" if offset else ""
        self._lines.append(f"{variable} = {source.source}.limit({arguments})")
        return replace(source, source=variable, node=node)

    def script(self, frame: Frame, recipient: str) -> str:
        """The whole script, which releases a frame to one party. Raises: PlanError."""
        last = self._as_variable(frame)
        lines = [
            '"""Written by `mc2 connect` from DataFrame code."""',
            "",
            "import mc2",
            "",
            f"job = mc2.Job({_python_text(f'{TITLE} of {recipient}')})",
            *self._called(),
            *self._lines,
            f"job.release({_python_text(OUTPUT)}, {last.source}, to=[{_python_text(recipient)}])",
        ]
        return "\n".join(lines) + "\n"

    def _as_variable(self, frame: Frame) -> Frame:
        if frame.is_variable:
            return frame
        variable = self._variable()
        self._lines.append(f"{variable} = job.table({_python_text(frame.source)})")
        return replace(frame, source=variable)

    def _sql(
        self, text: str, given: Mapping[str, Frame], *, keep_place: bool = False
    ) -> tuple[str, int]:
        nodes = {name: frame.node for name, frame in given.items()}
        try:
            node = self._draft.query(text, nodes, "spark")
        except PlanError as error:
            if keep_place or not error.line:
                raise
            # The place is one in our own SQL, which the author of the DataFrame code never saw.
            words = str(error).removeprefix(f"line {error.line}, column {error.column}: ")
            raise PlanError(words, hint=error.hint) from None
        variable = self._variable()
        arguments = "".join(f", {name}={frame.source}" for name, frame in given.items())
        self._lines.append(f"{variable} = job.sql({_python_text(text)}{arguments})")
        return variable, node

    def _variable(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def _schema(self, node: int) -> Schema:
        shape = self._draft.shape(node)
        if not isinstance(shape, TableShape):
            raise PlanError("a step of DataFrame code gave no table")
        return shape.schema

    @staticmethod
    def _columns(
        schema: Schema, qualifiers: tuple[tuple[str, ...], ...] = ()
    ) -> tuple[FrameColumn, ...]:
        return tuple(_frame_column(c, qualifiers) for c in schema.columns)


def _frame_column(column: Column, qualifiers: tuple[tuple[str, ...], ...]) -> FrameColumn:
    return FrameColumn(column.name, column.name, column.type, column.nullable, qualifiers)


def _python_text(text: str) -> str:
    """A text as Python source that means exactly it, and shows nothing that it does not mean."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    shown = all(c == "\n" or c.isprintable() for c in text)
    if shown and '"""' not in text and "\\" not in text and not text.endswith('"'):
        return f'"""{text}"""'
    return ascii(text)
