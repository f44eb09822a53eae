"""The Python functions of a script, as reviews show them: their source, word for word.

A review is made without running the script. So which functions `udf` was handed is read from the
text; where that is not plain (`udf` under another name, a function under another name), all
functions of the script are shown. A function that is used can never be missing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, TypeAlias

_Function: TypeAlias = ast.FunctionDef | ast.Lambda
_UDF: Final = "udf"


def sources_in(script: str) -> tuple[str, ...]:
    """The source of each function that the script declares with `udf`, in order.

    Lambdas are shown with the whole statement that they stand in. If it is not plain which
    functions are declared, all of the script are shown. A script that is no Python has none.
    """
    try:
        tree = ast.parse(script)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    if not _mentions(tree):
        return ()
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.Lambda))]
    plain = _declared(tree, functions)
    lines = script.split("\n")
    shown = sorted({_lines(tree, f) for f in (functions if plain is None else plain)})
    return tuple("\n".join(lines[first - 1 : last]) for first, last in shown)


def _mentions(tree: ast.AST) -> int:
    """How often the script says `udf`: as a name, an attribute, or a name that it imports."""
    said = 0
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                said += name == _UDF
            case ast.alias(name=name, asname=other):
                # `import udf` alone is plain; under another name it counts and is never a call
                said += name == _UDF and other not in (None, _UDF)
                said += name != _UDF and (other == _UDF or name == "*")
    return said


def _declared(tree: ast.AST, functions: list[_Function]) -> list[_Function] | None:
    """What `udf` is handed, if each `udf` is a call of something plain; None if not."""
    calls = [c for c in ast.walk(tree) if isinstance(c, ast.Call) and _is_udf(c)]
    if len(calls) != _mentions(tree):
        return None
    decorated = {
        id(f.decorator_list[0]): f
        for f in functions
        if isinstance(f, ast.FunctionDef) and len(f.decorator_list) == 1
    }
    found: list[_Function] = []
    for call in calls:
        given = [v for v in _given(call) if not isinstance(v, ast.Constant)]
        if id(call) in decorated and not given:
            found.append(decorated[id(call)])
        elif len(given) == 1 and isinstance(given[0], ast.Lambda):
            found.append(given[0])
        elif len(given) == 1 and isinstance(given[0], ast.Name):
            named = _defined(tree, functions, given[0].id)
            if not named:
                return None
            found += named
        else:
            return None
    return found


def _defined(tree: ast.AST, functions: list[_Function], name: str) -> list[_Function]:
    """The definitions of a name; none if it also means something else somewhere."""
    if name in _other_names(tree):
        return []
    return [
        f
        for f in functions
        if isinstance(f, ast.FunctionDef) and f.name == name and len(f.decorator_list) == 0
    ]


def _other_names(tree: ast.AST) -> Iterator[str]:
    """Names that are bound by anything but `def` and `f = udf(...)`."""
    made = {
        id(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.value, ast.Call)
        and _is_udf(node.value)
    }
    for node in ast.walk(tree):
        if id(node) in made:
            continue
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=other):
                yield other or name
            case ast.ClassDef(name=name):
                yield name
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield name


def _lines(tree: ast.AST, function: _Function) -> tuple[int, int]:
    """The first and the last line to show, from 1."""
    if isinstance(function, ast.FunctionDef):
        first = min([function.lineno, *(d.lineno for d in function.decorator_list)])
        return first, function.end_lineno or function.lineno
    around = [
        (s.lineno, s.end_lineno or s.lineno)
        for s in ast.walk(tree)
        if isinstance(s, ast.stmt) and any(part is function for part in ast.walk(s))
    ]
    return max(around, key=lambda lines: (lines[0], -lines[1]))  # the innermost


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(k.value for k in call.keywords)]


def _is_udf(call: ast.Call) -> bool:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name == _UDF
    return False
