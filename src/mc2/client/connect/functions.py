"""The source of Python functions that PySpark sends, without loading what it sends.

PySpark sends a function as a cloudpickle: compiled code, which no owner can read. The pickle is
read here as data: no name in it is imported and nothing in it is called; its parts become plain
records. They say from which file and line the function came. The client runs beside the notebook,
so that file is read, compiled, and its code must be the code that was sent, to the last
instruction: then the file's text is what the function is, and goes into the script.
"""

from __future__ import annotations

import ast
import base64
import binascii
import io
import linecache
import pickle
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from mc2.errors import PlanError
from mc2.planner.connect.message import Json, Message, unsupported
from mc2.planner.connect.types import read_type, sql_type

PLAIN_UDF: Final = 100
"""Spark's number for a Python function of one row's values, called row by row."""
_PICKLE_LENGTH: Final = 1024 * 1024  # characters of base64
_ALLOWED: Final = {"_make_function", "_builtin_type", "_make_empty_cell", "_function_setstate"}
_CODE_PARTS: Final = 18  # what CodeType takes in Python 3.11 and later
_COMPARED: Final = (
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_code", "co_names",
    "co_varnames", "co_freevars", "co_cellvars", "co_exceptiontable",
)  # fmt: skip
_NO_SOURCE: Final = (
    "the source of the Python function cannot be read back",
    (
        "define it with def in a .py file and run that; in a notebook or at a prompt write a "
        "script with @job.udf (docs/howto/write-a-script.md), or pyspark.sql.functions"
    ),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A function as the script will define it: the name it asks for, its text, its type."""

    name: str
    text: str
    returns: str

    @property
    def is_lambda(self) -> bool:
        """Whether it is an expression, and not a `def`."""
        return not self.name


def source_of(function: Message) -> Source:
    """What a `python_udf` message defines. Raises: PlanError."""
    kind = sql_type(read_type(function.take("output_type")))
    if function.integer("eval_type", 0) != PLAIN_UDF:
        raise unsupported(
            "pandas_udf, and Python functions over Arrow batches",
            "use udf, pyspark.sql.functions or SQL",
        )
    raw, version = function.text("command"), function.text("python_ver")
    function.done()
    if version != f"{sys.version_info.major}.{sys.version_info.minor}":
        raise unsupported(f"a function of Python {version}", "run mc2 connect with that Python")
    code = _code(raw)
    text, name = _text(code)
    return Source(name, text, kind)


class _Record:
    """What a call in the pickle would have made. It only keeps what it was given."""

    def __init__(self, name: str, given: tuple[Any, ...] = ()) -> None:
        self.name, self.given = name, given

    def __call__(self, *given: Any) -> _Record:
        return _Record(self.name, given)


class _Reader(pickle.Unpickler):
    """Reads a pickle as records: it imports nothing, so nothing of it can run."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "pyspark.cloudpickle.cloudpickle" and name in _ALLOWED:
            return _Record(name)
        if module == "pyspark.sql.types":
            return _Kind
        raise PlanError(
            f"the Python function needs {module}.{name}, which is not in its own source",
            hint="define it with def beside the code that uses it, of plain operators alone",
        )

    def persistent_load(self, pid: Any) -> Any:
        del pid
        raise PlanError("the Python function refers to something outside of it")


class _Kind:
    """A type of PySpark in the pickle; the message says which it is, so it is not looked at."""

    def __init__(self, *_given: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Keep nothing."""


def _code(raw: str) -> tuple[Any, ...]:
    if len(raw) > _PICKLE_LENGTH:
        raise PlanError("the Python function is larger than 1 MiB")
    try:
        data = base64.b64decode(raw, validate=True)
        found = _Reader(io.BytesIO(data)).load()
    except PlanError:
        raise
    except (binascii.Error, pickle.UnpicklingError, *_BROKEN):
        raise PlanError("the client sent no Python function") from None
    made = found[0] if isinstance(found, tuple) and found else None
    if not isinstance(made, _Record) or made.name != "_make_function":
        raise PlanError(*_NO_SOURCE[:1], hint=_NO_SOURCE[1])
    given = made.given
    code = given[0] if given else None
    if len(given) != 5 or any(part is not None for part in given[2:]):
        raise PlanError(
            "the Python function keeps values from around it (defaults or a closure)",
            hint="hand them over as arguments, with lit()",
        )
    if not isinstance(code, _Record) or len(code.given) != _CODE_PARTS:
        raise PlanError(_NO_SOURCE[0], hint=_NO_SOURCE[1])
    return code.given


_BROKEN: Final = (
    EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, MemoryError,
    OverflowError, RecursionError, ImportError,
)  # fmt: skip


def _text(parts: tuple[Any, ...]) -> tuple[str, str]:
    """The source of code, and the function's name, empty for a lambda. Raises: PlanError."""
    file, name, line = parts[10], parts[11], parts[13]
    refused = PlanError(_NO_SOURCE[0], hint=_NO_SOURCE[1])
    if not all(isinstance(p, str) for p in (file, name)) or not isinstance(line, int):
        raise refused
    linecache.checkcache(file)  # it may have been edited since
    whole = "".join(linecache.getlines(file))
    try:
        tree = ast.parse(whole)
        compiled = compile(tree, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise refused from None
    if not any(_same(code, parts) for code in _inner(compiled)):
        raise refused
    found = [n for n in ast.walk(tree) if _is_of(n, name, line)]
    segment = ast.get_source_segment(whole, found[0], padded=True) if len(found) == 1 else None
    if segment is None:
        raise refused
    return textwrap.dedent(segment).strip("\n"), "" if name == "<lambda>" else name


def _is_of(node: ast.AST, name: str, line: int) -> bool:
    if isinstance(node, ast.Lambda):
        return name == "<lambda>" and node.lineno == line
    if not isinstance(node, ast.FunctionDef):
        return False
    return (
        node.name == name and min([node.lineno, *(d.lineno for d in node.decorator_list)]) == line
    )


def _inner(code: CodeType) -> Iterator[CodeType]:
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield part
            yield from _inner(part)


def _same(code: CodeType, parts: tuple[Any, ...]) -> bool:
    """Whether code of the file is the code that was sent."""
    sent = dict(zip(_CODE_NAMES, parts, strict=True))
    if any(getattr(code, name) != sent[name] for name in _COMPARED):
        return False
    place = (code.co_name, code.co_firstlineno) == (sent["co_name"], sent["co_firstlineno"])
    # repr tells 1 from 1.0 and True, and -0.0 from 0.0, which are equal.
    return place and repr(code.co_consts) == repr(sent["co_consts"])


_CODE_NAMES: Final = (
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize",
    "co_flags", "co_code", "co_consts", "co_names", "co_varnames", "co_filename", "co_name",
    "co_qualname", "co_firstlineno", "co_linetable", "co_exceptiontable", "co_freevars",
    "co_cellvars",
)  # fmt: skip


def called(value: Any) -> Iterator[str]:
    """The names of Python functions that a rewritten message calls."""
    if isinstance(value, Mapping):
        call = value.get("call_function")
        if isinstance(call, Mapping) and "shown" in call:
            yield str(call["function_name"])
        for inner in value.values():
            yield from called(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from called(inner)


class Functions:
    """The Python functions of one session: from messages to names that queries may call."""

    def __init__(self) -> None:
        self._defined: dict[str, Source] = {}

    @property
    def defined(self) -> Mapping[str, Source]:
        """The functions by the name that scripts give them."""
        return dict(self._defined)

    def rewritten(self, value: Any) -> Any:
        """A message in which calls of sent functions became calls by name. Raises: PlanError."""
        if isinstance(value, Mapping):
            if "common_inline_user_defined_function" in value:
                return {"call_function": self._call(value["common_inline_user_defined_function"])}
            return {name: self.rewritten(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.rewritten(inner) for inner in value]
        return value

    def _call(self, inner: Json) -> Json:
        message = Message(inner, "a Python function")
        shown = message.text("function_name")
        if not message.flag("deterministic"):
            raise unsupported("a Python function that is not deterministic", "leave that out")
        message.flag("is_distinct")
        arguments = self.rewritten(list(message.items("arguments")))
        sent = message.take("python_udf")
        message.done()
        if sent is None:
            raise unsupported("a function of Java or Scala", "use udf, or SQL")
        name = self._named(source_of(Message(sent, "a Python function")))
        return {"function_name": name, "arguments": arguments, "shown": shown}

    def _named(self, source: Source) -> str:
        """The name of a function in scripts: its own, with a number if that is another's."""
        own = source.name.lower() or "lambda"
        for number in range(1, 10_000):
            name = own if number == 1 and not source.is_lambda else f"{own}_{number}"
            if self._defined.setdefault(name, source) == source:
                return name
        raise PlanError("the session has too many Python functions")
