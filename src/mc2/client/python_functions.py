"""The Python functions of a script, as reviews show them: their source, word for word."""

from __future__ import annotations

import ast


def sources_in(script: str) -> tuple[str, ...]:
    """The source of each function that the script declares with `udf`, in order.

    Lambdas are shown with the whole call that declares them. A script that is no Python has none.
    """
    try:
        tree = ast.parse(script)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    lines = script.split("\n")
    named = {
        a.id for c in ast.walk(tree) if _is_udf(c) for a in _given(c) if isinstance(a, ast.Name)
    }
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if any(map(_is_udf, node.decorator_list)) or node.name in named:
                first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                found.append((first, "\n".join(lines[first - 1 : node.end_lineno])))
        elif isinstance(node, ast.Call) and _is_udf(node) and _holds_lambda(node):
            found.append((node.lineno, "\n".join(lines[node.lineno - 1 : node.end_lineno])))
    return tuple(text for _, text in sorted(set(found)))


def _given(node: ast.AST) -> list[ast.expr]:
    return [*node.args, *(k.value for k in node.keywords)] if isinstance(node, ast.Call) else []


def _holds_lambda(node: ast.Call) -> bool:
    return any(not isinstance(a, (ast.Name, ast.Constant)) for a in _given(node))


def _is_udf(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    return (function.id if isinstance(function, ast.Name) else name) == "udf"
