"""Runs a checked script with nothing within reach but the mc2 API and a few built-ins.

This is the inner wall. The outer one is the process: `mc2.planner.compile_worker` runs the script
confined by the kernel, so that a hole in here yields a wrong plan, which the other owners' digests
and every owner's review show, and not a file or a key.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import CodeType
from typing import Any, Final

from mc2.errors import Mc2Error, PlanError
from mc2.planner.dataframe_columns import Column
from mc2.planner.language import BUILTINS, Helper, parse_script

FILE_NAME: Final = "<script>"
_PLAIN: Final = (str, int, float, bool, type(None))


class Namespace:
    """A module as scripts see it: some names, and nothing that a real module carries."""

    __slots__ = ("_members", "_name")

    def __init__(self, name: str, members: Mapping[str, object]) -> None:
        self._name = name
        self._members = dict(members)

    def __getattr__(self, name: str) -> object:
        try:
            return self._members[name]
        except KeyError:
            there = ", ".join(sorted(self._members))
            raise PlanError(f"{self._name} offers scripts no {name!r}", hint=there) from None


def run_script(source: str, modules: Mapping[str, Namespace]) -> None:
    """Check and run a script that may import `modules`. What it wants, it tells the API.

    Raises: PlanError with the script's line and column.
    """
    tree = parse_script(source)
    code: CodeType = compile(tree, FILE_NAME, "exec", dont_inherit=True, optimize=0)
    environment: dict[str, Any] = {"__builtins__": _builtins(modules), "__name__": "__main__"}
    try:
        exec(code, environment)  # noqa: S102 - the one place; what runs passed `parse_script`
    except Mc2Error as error:
        raise _located(error, source) from None
    except RecursionError as error:
        raise _at(
            error, source, "the functions of the script call each other without end"
        ) from None
    except MemoryError as error:
        raise _at(error, source, "the script needs too much memory") from None
    except Exception as error:  # noqa: BLE001 - any failure of the script is its author's news
        raise _at(error, source, f"{type(error).__name__}: {error}") from None


def _builtins(modules: Mapping[str, Namespace]) -> dict[str, object]:
    import builtins

    def import_module(
        name: str, _globals: object = None, _locals: object = None, wanted: object = (), *_: object
    ) -> Namespace:
        # `from mc2.xgboost import x` asks for the inner module, `import mc2.xgboost` for mc2.
        return modules[name if wanted else name.partition(".")[0]]

    offered: dict[str, object] = {name: getattr(builtins, name) for name in BUILTINS}
    offered["str"] = _text
    offered["sum"] = _sum
    offered["__import__"] = import_module
    offered[Helper.TEXT] = _plain
    offered[Helper.ITEMS] = _items
    offered[Helper.REMAINDER] = _remainder
    offered[Helper.BOTH] = _both
    offered[Helper.EITHER] = _either
    offered[Helper.NOT] = _not
    return offered


def _text(value: object = "") -> str:
    """The text of a value whose text is the same on every machine."""
    return str(_plain(value))


def _plain(value: object) -> object:
    """The value, if its text is the same on every machine. Raises: PlanError."""
    _check_plain(value, 0)
    return value


def _check_plain(value: object, depth: int) -> None:
    if type(value) in _PLAIN:
        return
    if depth < 8 and type(value) in (list, tuple):
        for item in value:  # type: ignore[attr-defined]  # narrowed by type(), which mypy ignores
            _check_plain(item, depth + 1)
        return
    raise PlanError(
        f"a {type(value).__name__} cannot be made text in a script",
        hint="numbers, texts, and lists of them can",
    )


def _sum(values: Iterable[Any], start: Any = 0) -> Any:
    """Plain addition from the left: Python's own rounds sums of floats from 3.12 on otherwise."""
    total = start
    for value in values:
        total = total + value
    return total


def _items(value: object, view: str) -> Callable[[], list[object]]:
    """A dictionary's keys, values or items as a list: views could be made into sets."""
    if not isinstance(value, dict):
        raise PlanError(f"a {type(value).__name__} has no {view}()")
    return lambda: list(getattr(value, view)())


def _remainder(left: object, right: object) -> object:
    """`%` of numbers; of text it would be formatting, which can show an address."""
    if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        raise PlanError("% is for numbers in a script", hint="use an f-string for text")
    return left % right


def _both(left: object, right: object) -> Column:
    return _column("&", left, right) & right


def _either(left: object, right: object) -> Column:
    return _column("|", left, right) | right


def _not(value: object) -> Column:
    return ~_column("~", value)


def _column(operator: str, left: object, right: object = None) -> Column:
    """The left side of `&`, `|` or `~`, which are for columns of DataFrames. Raises: PlanError."""
    if not isinstance(left, Column) or not isinstance(right, (Column, bool, type(None))):
        raise PlanError(
            f"{operator} is for columns of DataFrames in a script", hint="use and, or, not"
        )
    return left


def _at(error: BaseException, source: str, message: str, hint: str = "") -> PlanError:
    line, column, _ = _place(error)
    column = _characters(source, line, column)
    return PlanError(message, line=line, column=column, hint=hint)


def _located(error: Mc2Error, source: str) -> PlanError:
    """Give an error of the API its place in the script.

    An error in a query has its place in the query's text. If that text stands literally in the
    script, the place in the script follows; if it was put together, both are said.
    """
    if not isinstance(error, PlanError) or not error.line:
        return _at(error, source, str(error), error.hint)
    message = str(error).removeprefix(f"line {error.line}, column {error.column}: ")
    start = _literal_query(source, *_place(error))
    if start is None:
        message = f"in line {error.line}, column {error.column} of the query: {message}"
        return _at(error, source, message, error.hint)
    first_line, first_column = start
    column = first_column + error.column - 1 if error.line == 1 else error.column
    return PlanError(message, line=first_line + error.line - 1, column=column, hint=error.hint)


def _characters(source: str, line: int, column: int) -> int:
    """A column in characters: Python counts bytes."""
    if not line:
        return 0
    before = source.split("\n")[line - 1].encode("utf-8")[: column - 1]
    return len(before.decode("utf-8", "replace")) + 1


def _place(error: BaseException) -> tuple[int, int, tuple[int, int] | None]:
    """Line and column of the innermost frame of the script, and where its expression ends.

    Columns count bytes here, as Python does: an expression is found again by them.
    """
    found: tuple[int, int, tuple[int, int] | None] = (0, 0, None)
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == FILE_NAME:
            place = next(islice(code.co_positions(), trace.tb_lasti // 2, None), (None,) * 4)
            line, end_line, column, end_column = place
            end = (end_line, end_column) if end_line and end_column is not None else None
            found = (line or trace.tb_lineno, (column or 0) + 1, end)
        trace = trace.tb_next
    return found


def _literal_query(
    source: str, line: int, column: int, end: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Where the text of a call's first argument starts, if it is one literal without escapes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and (node.end_lineno, node.end_col_offset) == end:
            if (node.lineno, node.col_offset + 1) != (line, column) or not node.args:
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                return _start_of_text(source, first)
    return None


def _start_of_text(source: str, node: ast.Constant) -> tuple[int, int] | None:
    segment = ast.get_source_segment(source, node) or ""
    for quote in ('"""', "'''", '"', "'"):
        if segment == quote + str(node.value) + quote:
            start = _characters(source, node.lineno, node.col_offset + 1)
            return node.lineno, start + len(quote)
    return None
