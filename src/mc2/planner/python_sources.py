"""Where Python functions over rows come from: the text of the script that defines them.

The script runs, but these functions never do: what `job.udf` is handed only says where in the
script its source stands, and that is read anew.
"""

from __future__ import annotations

import ast
from types import FunctionType
from typing import Any, Final

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.planner.connect.ddl import declared
from mc2.planner.dataframe_columns import Column, column_of
from mc2.planner.draft import current_draft
from mc2.planner.python_functions import PythonFunction, python_function

_USE: Final = '@job.udf("double") above the function, or job.udf(f, "double")'


def script_function(*given: object, **options: object) -> Any:
    """What `udf` is in a script: `udf("double")` decorates, `udf(f, "double")` makes a function.

    Raises: PlanError.
    """
    names = {"f", "returnType", "name"}
    if len(given) > 2 or not names >= options.keys():
        raise PlanError("udf takes a function and the type that it returns", hint=_USE)
    values = dict(options)
    slots = ("returnType",) if given and isinstance(given[0], str) else ("f", "returnType")
    if len(given) > len(slots) or any(slot in values for slot in slots[: len(given)]):
        raise PlanError("udf takes a function and the type that it returns", hint=_USE)
    values.update(zip(slots, given, strict=False))
    kind, name = declared(values.get("returnType")), values.get("name", "")
    if not isinstance(name, str):
        raise PlanError("the name of a Python function is a text", hint='name="risk"')
    if "f" in values:
        return _defined(values["f"], kind, name)
    return lambda function: _defined(function, kind, name)


def _defined(function: object, kind: DataType, name: str) -> Any:
    draft = current_draft()
    if draft is None or not isinstance(function, FunctionType):
        raise PlanError("udf takes a function that the script defines", hint=_USE)
    tree = _tree(ast.parse(draft.script), function)
    own = name or ("" if isinstance(tree, ast.Lambda) else tree.name)
    if not own:
        raise PlanError("a lambda has no name", hint='job.udf(lambda x: ..., "int", name="f")')
    made = python_function(tree, own, kind)
    draft.define(made)
    return _over_columns(made)


def _tree(script: ast.AST, function: FunctionType) -> ast.FunctionDef | ast.Lambda:
    """The part of the script that a function was made of. Raises: PlanError if it is not one."""
    code = function.__code__
    found = [
        node
        for node in ast.walk(script)
        if isinstance(node, (ast.FunctionDef, ast.Lambda)) and _starts(node) == code.co_firstlineno
        and getattr(node, "name", "<lambda>") == code.co_name
    ]  # fmt: skip
    if len(found) != 1:
        raise PlanError(
            "it is not clear which function of this line is meant", hint="give each its own line"
        )
    return found[0]


def _starts(node: ast.FunctionDef | ast.Lambda) -> int:
    """The line from which Python counts a function: that of its first decorator."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return min([node.lineno, *(d.lineno for d in decorators)])


def _over_columns(function: PythonFunction) -> Any:
    """What a script calls: over columns of DataFrames it is a column."""

    def build(*arguments: object) -> object:
        given = [column_of(a).expression for a in arguments]
        content = {"function_name": function.name, "arguments": given}
        return Column({"call_function": content})

    return build
