"""Python functions over rows: what CPython gives for the same source, or a refusal."""

from __future__ import annotations

import math
from functools import cache
from textwrap import dedent, indent

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables

from mc2.engine.run import execute
from mc2.errors import Mc2Error, PlanError
from mc2.plan.check import check_plan
from mc2.planner.script import compile_here, compile_script

NAN = math.nan
TYPES = {"i": pa.int64(), "n": pa.int32(), "x": pa.float64(), "s": pa.string(), "b": pa.bool_()}
ROWS = {
    "i": st.none() | st.integers(-(2**31), 2**31),
    "n": st.none() | st.integers(-(2**31), 2**31 - 1),
    "x": st.none() | st.floats() | st.sampled_from([0.0, -0.0, NAN, math.inf, 1e308, 5e-324]),
    "s": st.none() | st.text("aA bß\t\u2003é0\U0001f600", max_size=8) | st.text("abc XYZ", max_size=9),
    "b": st.none() | st.booleans(),
}  # fmt: skip
SOURCES = [
    ("bigint", "def f(i):\n    return i"),
    ("bigint", "def f(i, n):\n    if i is None or n is None:\n        return None\n    return i * n - 3"),
    ("bigint", "def f(i, n):\n    return i // n if i is not None and n is not None else 0"),
    ("bigint", "def f(i, n):\n    return i % n if i is not None and n is not None else 0"),
    ("bigint", "def f(i):\n    return -1 if i is None else i // 7 + i // -7 + i % 7 + i % -7"),
    ("double", "def f(n, i):\n    if n is None or i is None:\n        return None\n    return n / 3 + i / (n + 1)" .replace("i /", "n /")),
    ("double", "def f(x):\n    return None if x is None else -x * 2 + 1 - x / 3"),
    ("double", "def f(x, n):\n    if x is None or not n is not None:\n        return 0.5\n    return x / n"),
    ("boolean", "def f(x):\n    return x is not None and 0 <= x < 10.5"),
    ("boolean", "def f(x, n):\n    return x is not None and n is not None and (x != n or x >= n) and not x > 5"),
    ("boolean", "def f(x):\n    return x is not None and (x == x or x <= x or x < x or not x != x)"),
    ("boolean", "def f(i):\n    return i in (1, 2, 3) if i is not None else True"),
    ("bigint", "def f(x):\n    if x is None or x != x or abs(x) > 1e18:\n        return None\n    return int(x)"),
    ("double", "def f(x, n):\n    if x is None or n is None:\n        return None\n    return max(x, float(n), 2.5) + min(x, 1.0)"),
    ("bigint", "def f(i, n, b):\n    if i is None or n is None or b is None:\n        return -1\n    return max(i, n) - min(i, n, 5) + int(b) + abs(n)"),
    ("bigint", "def f(i):\n    total = 0\n    if i is None:\n        return total\n    for k in range(1, 5):\n        if i % k == 0:\n            total += k\n    return total"),
    ("string", "def f(s):\n    return None if s is None else s.strip() + '|' + s.strip('ab')"),
    ("string", "def f(s):\n    if s is None:\n        return 'none'\n    return s[1:3] + s[-2:] + s[:-1] + s[1:-1] + s[-3:-1] + s[:2] + s[3:1] + s[-1:2]"),
    ("bigint", "def f(s):\n    return 0 if s is None else len(s) * len(s.replace('a', 'bb'))"),
    ("boolean", "def f(s):\n    return s is not None and (s.startswith('a') or s.endswith('b') or ' ' in s)"),
    ("string", "def f(s, n):\n    if s is None or n is None:\n        return None\n    return f'{n}:{s}' if s < 'b' else str(n) + s"),
    ("boolean", "def f(s):\n    return s is not None and ('a' <= s < 'é' or s not in ('b', ' '))"),
    ("string", "def f(b, s):\n    '''Words.'''\n    if b is None:\n        pass\n    elif b:\n        return 'yes'\n    elif s is not None:\n        return s"),
    ("int", "f = lambda n: None if n is None else n // 2"),
]  # fmt: skip


def script(source, kind, call):
    define = f'f = job.udf(f, "{kind}")' if source.startswith("def") else ""
    if not define:
        source = source.replace("lambda", "job.udf(lambda") + f', "{kind}", name="f")'
    return (
        f"import mc2\njob = mc2.Job('t')\n{source}\n{define}\n"
        f"job.release('r', job.sql('SELECT {call} AS r FROM a.t'), to='institute')\n"
    )


@cache
def planned(text, schema):
    catalog = catalog_of_tables({"a.t": schema.empty_table()})
    return check_plan(compile_here(text, name="t.py", catalog=catalog, packages=PACKAGES))


def run(source, kind, call, table):
    checked = planned(script(source, kind, call), table.schema)
    sources = {i.dataset: ArrowSource(table) for i in checked.plan.inputs}
    return execute(checked, sources, LIMITS, lambda _: None)["r"].table["r"].to_pylist()


def table_of(names, rows):
    columns = zip(*rows, strict=True) if rows else [[] for _ in names]
    return pa.table({n: pa.array(c, TYPES[n]) for n, c in zip(names, columns, strict=True)})


def shown(values):
    return [repr(v) for v in values]


@pytest.mark.parametrize(("kind", "source"), SOURCES)
@settings(max_examples=6)
@given(data=st.data())
def test_a_function_gives_what_python_gives(kind, source, data):
    space = {}
    exec(source, space)  # noqa: S102 - sources of this file
    python = space["f"]
    names = python.__code__.co_varnames[: python.__code__.co_argcount]
    rows = data.draw(st.lists(st.tuples(*(ROWS[n] for n in names)), min_size=4, max_size=24))
    call = f"f({', '.join(names)})"
    expected, failing = [], []
    for row in rows:
        try:
            expected.append((row, python(*row)))
        except ArithmeticError:
            failing.append(row)
    found = run(source, kind, call, table_of(names, [row for row, _ in expected]))
    assert shown(found) == shown([value for _, value in expected])
    for row in failing[:1]:
        with pytest.raises(Mc2Error):
            run(source, kind, call, table_of(names, [row]))


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("bigint", "return i + 1", 2**63 - 1),
        ("bigint", "return i - 2", -(2**63)),
        ("bigint", "return i * i", 2**40),
        ("bigint", "return -i", -(2**63)),
        ("bigint", "return abs(i)", -(2**63)),
        ("bigint", "return i // -1", -(2**63)),
        ("int", "return i", 2**31),
        ("tinyint", "return i", -129),
        ("bigint", "return int(float(i) * 4.0)", 2**62),
        ("double", "return float(i) / float(i - i)", 1),
        ("bigint", "return i // (i - i)", 1),
        ("bigint", "return i % (i - i)", 1),
    ],
)
def test_what_python_counts_beyond_the_type_fails_the_job(kind, body, value):
    table = pa.table({"i": pa.array([value], pa.int64())})
    source = f"def f(i):\n    if i is None:\n        return None\n    {body}"
    with pytest.raises(Mc2Error):
        run(source, kind, "f(i)", table)


def test_cases_of_letters_are_those_of_ascii_or_the_job_fails():
    source = "def f(s):\n    return s.upper() + s.lower() if s is not None else None"
    assert run(source, "string", "f(s)", table_of("s", [("aB1",), (None,)])) == ["AB1ab1", None]
    with pytest.raises(Mc2Error):
        run(source, "string", "f(s)", table_of("s", [("straße",)]))


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("bigint", "return i + 1", "may be None here"),
        ("bigint", "while True:\n    pass", "while may not stand"),
        ("bigint", "return f(i)", "'f' may not be called"),
        ("bigint", "return i ** 99999999", "may not stand in a script"),
        ("bigint", "return i.__class__", "may not stand after a dot"),
        ("bigint", "return ().__class__.__bases__", "may not stand after a dot"),
        ("bigint", "return s.strip.strip", "attribute may not stand"),
        ("string", "return s.join(s)", "may be None here"),
        ("string", "return 'a'.join('b')", "has no join"),
        ("bigint", "return (lambda: 1)()", "may not be called"),
        ("bigint", "return [k for k in range(3)]", "listcomp may not stand"),
        ("bigint", "return sum([1])", "may not stand|may not be called"),
        ("bigint", "for k in range(1000000000):\n    pass\nreturn 1", "at most 100 rounds"),
        ("bigint", "for k in [1]:\n    pass\nreturn 1", "no end in sight"),
        ("bigint", "for k in range(9):\n    break\nreturn 1", "break may not stand"),
        ("bigint", "for a in range(99):\n    for b in range(99):\n        for c in range(99):\n            a = a\nreturn 1", "more than 5,000 steps"),
        ("bigint", "if i is None:\n    return 0\nfor k in range(60):\n    i = i + i\nreturn i", "more than 20,000 parts"),
        ("bigint", "return job", "no parameter"),
        ("bigint", "return n + 0.5 if n is not None else 0.5", "returns a float"),
        ("double", "return 0", "returns a int"),
        ("double", "return i / 2 if i is not None else None", "beyond 2"),
        ("boolean", "return i is not None and i < 0.5", "beyond 2"),
        ("boolean", "return i == None", "None"),
        ("boolean", "return x is not None and x < 'a'", "a float and a str"),
        ("bigint", "if n:\n    return 1\nreturn 2", "may be None|no condition"),
        ("bigint", "return 1 if s is None else s", "a int or a str"),
        ("string", "return s[n:] if s is not None else ''", "written as a number"),
        ("string", "return s[0] if s is not None else ''", "only s"),
        ("string", "return f'{x}' if x is not None else ''", "str.. takes"),
        ("string", "return s.replace('', 'a') if s is not None else ''", "not empty"),
        ("bigint", "return 99999999999999999999", "more than 64 bits"),
        ("double", "return 1e999", "not finite"),
        ("bigint", "x, y = 1, 2\nreturn 3", "assign may not stand"),
        ("bigint", "return z", "there is no|no parameter"),
        ("date", "return None", "returns no date"),
        ("a bigint, b int", "return None", "one value"),
    ],
)  # fmt: skip
def test_what_may_not_stand_in_a_function_is_refused_by_name(kind, body, message):
    source = f"def f(i, n, x, s):\n{indent(dedent(body), '    ')}"
    with pytest.raises(PlanError, match=message):
        run(source, kind, "f(i, n, x, s)", table_of("inxs", []))


def test_a_refusal_has_its_place_in_the_function_and_in_the_query():
    with pytest.raises(PlanError) as caught:
        run("def f(i):\n    return i + 1", "bigint", "f(i)", table_of("i", []))
    assert "f(), line 4, column 12: the left side may be None here" in str(caught.value)
    assert (caught.value.line, caught.value.column) == (6, 34)
    assert "if x is None" in caught.value.hint


@pytest.mark.parametrize(
    "name", ["upper", "SUM", "count", "rank", "explode", "cast", "current_date"]
)
def test_a_name_of_sql_is_taken(name):
    source = f"def {name}(i):\n    return i\nf = job.udf({name}, 'bigint')\ndef f(i):\n    return i"
    with pytest.raises(PlanError, match="called like one of SQL"):
        run(source, "bigint", "f(i)", table_of("i", []))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("@job.udf('int')\n@job.udf('int')\ndef f(i):\n    return i", "decorators"),
        ("@job.udf\ndef f(i):\n    return i", "decorators"),
        ("@job.view('x')\ndef f(i):\n    return i", "decorators"),
        ("f = job.udf(len, 'int')", "a function that the script defines"),
        ("f = job.udf(lambda i: i, 'int')", "a lambda has no name"),
        ("f = job.udf(lambda i: i)", "says what type"),
        ("f = [job.udf(g, 'int', name='f') for g in [lambda i: i, lambda i: 1]]", "not clear"),
        ("f = job.udf(lambda *i: 1, 'int', name='f')", "plain parameters"),
        ("f = job.udf(lambda i=1: i, 'int', name='f')", "plain parameters"),
        ("f = job.udf(lambda i: i, 'bigint', name='f')\ng = job.udf(lambda i: 1, 'bigint', name='F')", "already"),
    ],
)  # fmt: skip
def test_how_a_function_is_declared(lines, message):
    text = (
        f"import mc2\njob = mc2.Job('t')\n{lines}\n"
        "job.release('r', job.sql('SELECT f(i) AS r FROM a.t'), to='institute')\n"
    )
    with pytest.raises(PlanError, match=message):
        compile_here(
            text, name="t.py", catalog=catalog_of_tables({"a.t": table_of("i", [])}), packages=PACKAGES
        )  # fmt: skip


def test_functions_over_dataframes_in_the_sandbox():
    text = dedent("""
        import mc2
        from pyspark.sql.functions import udf, col
        job = mc2.Job("t")
        @udf(returnType="string")
        def band(n, s):
            if n is None or s is None:
                return None
            return s.strip().upper()[:2] if n % 3 == 1 else f"{n}"
        @mc2.udf("int")
        def twice(n):
            return n * 2 if n is not None else 0
        people = job.spark.table("a.t").filter(twice("n") > 2)
        job.release("r", people.select(band(col("n"), "s"), twice(twice("n")).alias("x")), to="institute")
    """)
    table = table_of("ns", [(4, " abc"), (3, "x"), (None, "y"), (1, "z")])
    plan = compile_script(text, name="t.py", catalog=catalog_of_tables({"a.t": table}))
    found = execute(check_plan(plan), {"a.t": ArrowSource(table)}, LIMITS, lambda _: None)["r"]
    assert found.table.to_pylist() == [{"band(n, s)": "AB", "x": 16}, {"band(n, s)": "3", "x": 12}]


def test_a_value_looked_up_in_another_table_is_an_argument():
    """So are secret values, which a query reads the same way."""
    text = dedent("""
        import mc2
        job = mc2.Job("t")
        @mc2.udf("int")
        def above(i, limit):
            if i is None or limit is None:
                return None
            return 1 if i > limit else 0
        s = job.table("a.s")
        query = "SELECT above(i, (SELECT max(n) FROM {s})) AS r FROM a.t"
        job.release("r", job.sql(query, s=s), to="institute")
    """)
    tables = {"a.t": table_of("i", [(1,), (5,), (None,)]), "a.s": table_of("n", [(3,)])}
    catalog = catalog_of_tables(tables)
    plan = compile_here(text, name="t.py", catalog=catalog, packages=PACKAGES)
    sources = {name: ArrowSource(table) for name, table in tables.items()}
    found = execute(check_plan(plan), sources, LIMITS, lambda _: None)["r"].table
    assert sorted(found["r"].to_pylist(), key=str) == [0, 1, None]
