"""Scripts come from strangers: what is not listed is refused, before it runs, at its place."""

from __future__ import annotations

import ast
import builtins
import contextlib
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import PlanError
from mc2.planner.language import ATTRIBUTES, BUILTINS, parse_script

REFUSED = {
    "import os": (1, 1, "'os' may not be imported"),
    "import sys, mc2": (1, 1, "'sys' may not be imported"),
    "import xgboost": (1, 1, "'xgboost' may not be imported"),
    "from os import path": (1, 1, "'os' may not be imported"),
    "from . import x": (1, 1, "may not be imported"),
    "from mc2 import errors": (1, 1, "offers scripts no 'errors'"),
    "from mc2 import *": (1, 1, "offers scripts no '*'"),
    "import mc2.planner": (1, 1, "'mc2.planner' may not be imported"),
    "from __future__ import division": (1, 1, "only `annotations`"),
    "x = open('f')": (1, 5, "there is no 'open'"),
    "x = exec": (1, 5, "there is no 'exec'"),
    "eval('1')": (1, 1, "there is no 'eval'"),
    "x = getattr": (1, 5, "there is no 'getattr'"),
    "x = type": (1, 5, "there is no 'type'"),
    "x = vars": (1, 5, "there is no 'vars'"),
    "x = object": (1, 5, "there is no 'object'"),
    "print(1)": (1, 1, "there is no 'print'"),
    "x = set([1])": (1, 5, "there is no 'set'"),
    "x = hash(1)": (1, 5, "there is no 'hash'"),
    "x = id(1)": (1, 5, "there is no 'id'"),
    "x = __import__('os')": (1, 5, "'__import__' may not stand"),
    "x = __builtins__": (1, 5, "'__builtins__' may not stand"),
    "__x = 1": (1, 1, "'__x' may not stand"),
    "def __f(): pass": (1, 1, "'__f' may not stand"),
    "def f(__x): pass": (1, 7, "'__x' may not stand"),
    "x = dict(__class__=1)": (1, 10, "'__class__' may not stand"),
    "import mc2 as __mc2_text__": (1, 1, "may not stand"),
    "x = ().__class__": (1, 5, "'__class__' may not stand after a dot"),
    "x = ''.format": (1, 5, "'format' may not stand after a dot"),
    "x = ''.format_map({})": (1, 5, "'format_map' may not stand after a dot"),
    "def f(): pass\nx = f.func_globals": (2, 5, "may not stand after a dot"),
    "x = [].x": (1, 5, "'x' may not stand after a dot"),
    "x = 1\nx.items = 2": (2, 1, "may not set attributes"),
    "for [].x in [1]: pass": (1, 5, "may not set attributes"),
    "x = f'{1!r}'": (1, 5, "!r and !a"),
    "while True: pass": (1, 1, "while may not stand"),
    "class A: pass": (1, 1, "a class may not stand"),
    "try:\n  pass\nexcept Exception:\n  pass": (1, 1, "try may not stand"),
    "raise 1": (1, 1, "raise may not stand"),
    "with 1: pass": (1, 1, "with may not stand"),
    "assert 1": (1, 1, "assert may not stand"),
    "x = 1\ndel x": (2, 1, "del may not stand"),
    "def f():\n  global x": (2, 3, "global may not stand"),
    "def f():\n  yield 1": (2, 3, "yield may not stand"),
    "async def f(): pass": (1, 1, "async may not stand"),
    "@int\ndef f(): pass": (2, 1, "decorators"),
    "x = {1, 2}": (1, 5, "a set may not stand"),
    "x = {i for i in [1]}": (1, 5, "a set may not stand"),
    "x = 2 ** 3": (1, 5, "** may not stand"),
    "x = 2\nx **= 3": (2, 1, "** may not stand"),
    "x = 1 | 2": (1, 5, "| may not stand"),
    "x = 1 & 2": (1, 5, "& may not stand"),
    "x = 1 << 2": (1, 5, "LShift may not stand"),
    "x = 1 ^ 2": (1, 5, "BitXor may not stand"),
    "x = ~1": (1, 5, "~ may not stand"),
    "x = 1 @ 2": (1, 5, "@ may not stand"),
    "if (x := 1): pass": (1, 5, ":= may not stand"),
    "match 1:\n  case 1: pass": (1, 1, "match may not stand"),
    "x = ...": (1, 5, "a ellipsis may not stand"),
    "x = 1j": (1, 5, "a complex may not stand"),
    "x = b'a'": (1, 5, "a bytes may not stand"),
    "x: int": (1, 1, "an annotation"),
    "x = [1]\nx[0] %= 2": (2, 1, "%= may stand after a name only"),
    "größe = 1": (1, 1, "not of ASCII letters"),
    "x = undefined": (1, 5, "there is no 'undefined'"),
    "x =": (1, 4, "this is not Python"),
    "if 1:\npass": (2, 1, "this is not Python"),
    "x = 1\r\ny = 2": (1, 6, "CR LF"),
    "# \u202e evil": (1, 3, "U+202E"),
    "x = '\u200b'": (1, 6, "U+200B"),
    "x = 'a\x00b'": (1, 7, "U+0000"),
    "äöü = 'x' \u2028": (1, 11, "U+2028"),
    "x = 'ä' + undefined": (1, 11, "there is no 'undefined'"),
}

ALLOWED = """
from __future__ import annotations

import mc2
import mc2.xgboost as xgb
from mc2 import Job, xgboost
from mc2.xgboost import DMatrix as Rows

names: list[str] = ["a", "b"]
limits = {"low": 1, **{"high": 10}}

def clause(column: str, least: int = 0, *rest, **named) -> str:
    if least and not column:
        return "none"
    elif column in ("x", "y"):
        pass
    return f"{column} >= {least:>5}"

parts = [clause(n, i) for i, n in enumerate(names) if n != "c"]
text = " AND ".join(parts) + ("" if len(parts) > 1 else " -- one")
first, *others = [p.upper() for p in parts]
total = sum(n // 2 for n in range(10))
total += -1
total %= 7
for key, value in limits.items():
    if value > 5:
        continue
    break
ordered = sorted(limits, key=lambda k: k[::-1])
rest = 7 % 4
short = text[1:-1].strip()
"""


@pytest.mark.parametrize("source", REFUSED, ids=lambda s: s.encode("unicode_escape").decode())
def test_refuses_at_its_place(source):
    line, column, words = REFUSED[source]
    with pytest.raises(PlanError) as refused:
        parse_script(source)
    assert (refused.value.line, refused.value.column) == (line, column), refused.value
    assert words in str(refused.value)


def test_takes_what_scripts_need():
    parse_script(ALLOWED)


def test_says_what_to_write_instead():
    with pytest.raises(PlanError) as refused:
        parse_script("while x: pass")
    assert "for" in refused.value.hint
    with pytest.raises(PlanError) as refused:
        parse_script("import xgboost as xgb")
    assert "from mc2 import xgboost" in refused.value.hint


@pytest.mark.parametrize("name", sorted(set(dir(builtins)) - set(BUILTINS)))
def test_no_other_builtin_is_there(name):
    if keyword.iskeyword(name):
        return
    with pytest.raises(PlanError, match=r"may not stand|there is no"):
        parse_script(f"x = {name}")


def test_no_listed_name_is_a_way_out():
    assert not [n for n in (*BUILTINS, *ATTRIBUTES) if n.startswith("_")]
    dangerous = {
        "eval",
        "exec",
        "open",
        "compile",
        "getattr",
        "setattr",
        "type",
        "object",
        "vars",
        "globals",
        "locals",
        "super",
        "input",
        "breakpoint",
        "memoryview",
        "format",
        "format_map",
        "mro",
        "gi_frame",
        "f_globals",
        "encode",
        "decode",
    }
    assert not dangerous & {*BUILTINS, *ATTRIBUTES}


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000 + ")" * 5000,
        "x = " + "-" * 100_000 + "1",
        "x = " + "[" * 300 + "]" * 300,
        "x = 1" + " + 1" * 50_000,
        "f" * 300_000,
    ],
    ids=["brackets", "signs", "lists", "sum", "large"],
)
def test_nesting_and_size_end_in_an_error_or_a_tree(source):
    with contextlib.suppress(PlanError):
        parse_script(source)


@given(st.text(max_size=60))
def test_any_text_is_a_tree_or_a_plan_error(source):
    with contextlib.suppress(PlanError):
        assert isinstance(parse_script(source), ast.Module)


WORDS = st.sampled_from(
    ["__class__", "__globals__", "f", "x", "mc2", "job", ".", "(", ")", "[", "]", "{", "}", "=",
     "lambda", ":", ",", "'a'", "1", "for", "in", "if", "else", "def", "return", "import", "+",
     "f'{x}'", "%", "*", "\n", " ", "getattr", "sql", "items", "format", "_"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=25).map("".join))
def test_no_checked_tree_holds_an_unlisted_attribute_or_name(source):
    try:
        tree = parse_script(source)
    except PlanError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert node.attr in ATTRIBUTES
        if isinstance(node, ast.Name) and node.id.startswith("__"):
            assert node.id.startswith("__mc2_")
