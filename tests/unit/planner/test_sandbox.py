"""A script reaches the API and a few built-ins; its errors say where they come from."""

from __future__ import annotations

import pytest

from mc2.errors import PlanError, UsageError
from mc2.planner.sandbox import Namespace, run_script


class Recorder:
    """Stands for the API: keeps what it is given."""

    def __init__(self):
        self.seen = []

    def sql(self, *values, **named):
        self.seen.append((*values, named) if named else values)


def run(source):
    api = Recorder()
    inner = Namespace("mc2.xgboost", {"train": api.sql})
    run_script(
        source, {"mc2": Namespace("mc2", {"Job": api, "xgboost": inner}), "mc2.xgboost": inner}
    )
    return api.seen


def fails(source):
    with pytest.raises(PlanError) as refused:
        run(source)
    return refused.value


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("import mc2\nmc2.Job.sql(1)", (1,)),
        ("import mc2 as m\nm.Job.sql(1)", (1,)),
        ("from mc2 import Job\nJob.sql(1)", (1,)),
        ("from mc2 import Job as J\nJ.sql(1)", (1,)),
        ("import mc2.xgboost\nmc2.Job.sql(1)", (1,)),
        ("import mc2.xgboost as x\nx.train(1)", (1,)),
        ("from mc2 import xgboost\nxgboost.train(1)", (1,)),
        ("from mc2.xgboost import train\ntrain(1)", (1,)),
        ("import mc2\nmc2.xgboost.train(1)", (1,)),
    ],
)
def test_imports(source, seen):
    assert run(source) == [seen]


def value_of(expression, before=""):
    return run(f"from mc2 import Job\n{before}\nJob.sql({expression})")[0][0]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("f'{1.5:.2f}|{7:>3}|{True}|{None}|{[1, (2,)]}'", "1.50|  7|True|None|[1, (2,)]"),
        ("f'{\"a\":>{3}}'", "  a"),
        ("str(1.5) + str([1, 'a'])", "1.5[1, 'a']"),
        ("7 % 4", 3),
        ("-7.5 % 2", 0.5),
        ("[k for k, v in {'a': 1, 'b': 2}.items() if v > 1]", ["b"]),
        ("list({'a': 1}.keys()) + list({'a': 1}.values())", ["a", 1]),
        ("sorted([3, 1, 2])[:2]", [1, 2]),
        ("{'a': 1}.get('b', 4)", 4),
        ("sum(x * 2 for x in range(3))", 6),
        ("sum([0.1] * 10)", 0.9999999999999999),  # the same in every version of Python
        ("sum([[1], [2]], [])", [1, 2]),
        ("max(1, 2) if all([True]) else min([3])", 2),
    ],
)
def test_values(expression, value):
    assert value_of(expression) == value


def test_functions_and_loops():
    before = """
def double(values: list[int], by=2) -> list:
    found = []
    for v in values:
        if v == 3:
            continue
        found.append(v * by)
    return found
n = 10
n %= 4
"""
    assert value_of("double([1, 2, 3]) + [n]", before) == [2, 4, 2]


@pytest.mark.parametrize(
    "expression",
    [
        "f'{len}'",
        "f'{(lambda: 1)}'",
        "str(zip([1]))",
        "str(range)",
        "f'{[len]}'",
        "str({'a': 1})",
        "f'{Job}'",
        "str(x for x in [1])",
    ],
)
def test_text_that_could_hold_an_address_is_refused(expression):
    assert "cannot be made text" in str(fails(f"from mc2 import Job\nJob.sql({expression})"))


def test_percent_formats_nothing():
    assert "use an f-string" in fails("x = '%s' % len").hint
    assert "use an f-string" in fails("x = '%s'\nx %= len").hint


def test_views_of_dictionaries_are_lists():
    """Two views make a set, whose order is another on each machine."""
    assert "TypeError" in str(fails("x = {'a': 1}.keys() - {'b': 1}.keys()"))
    assert "no items()" in str(fails("x = 'a'.items()"))


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("x = 1\ny = x / 0", 2, 5, "ZeroDivisionError"),
        ("x = [1]\n\ny = 'ä' + x[3]", 3, 11, "IndexError"),
        ("def f():\n    return {}['a']\nf()", 2, 12, "KeyError"),
        ("def f():\n    return f()\nf()", 2, 12, "without end"),
        ("x = 'a'\nx.append(1)", 2, 1, "AttributeError"),
        ("if 1:\n    y = 1\nx = z\nz = 2", 3, 5, "NameError"),
        ("int('a')", 1, 1, "ValueError"),
        ("from mc2 import Job\nJob.xgboost", 2, 1, "AttributeError"),
        ("import mc2\nmc2.DMatrix", 2, 1, "offers scripts no"),
    ],
)
def test_errors_have_their_place(source, line, column, words):
    error = fails(source)
    assert (error.line, error.column) == (line, column)
    assert words in str(error)


class Refusing:
    def sql(self, text, **_named):
        raise PlanError("no such column", line=2, column=5, hint="another")

    def table(self, _name):
        raise PlanError("no such table", hint="another")

    def view(self, _name):
        raise UsageError("not here", hint="elsewhere")


def refused(source):
    with pytest.raises(PlanError) as caught:
        run_script(source, {"mc2": Namespace("mc2", {"Job": Refusing()})})
    return caught.value


def test_a_query_error_points_into_the_script():
    source = 'from mc2 import Job\nx = Job.sql("""SELECT\n    nope\nFROM t""")'
    error = refused(source)
    assert (error.line, error.column) == (3, 5)
    assert str(error) == "line 3, column 5: no such column"
    assert error.hint == "another"


def test_a_query_error_on_the_first_line_counts_from_its_quote():
    class OnFirstLine(Refusing):
        def sql(self, text):
            raise PlanError("no such column", line=1, column=8)

    with pytest.raises(PlanError) as caught:
        run_script(
            "from mc2 import Job\nÄ = 0".replace("Ä", "a") + '\nx = [Job.sql("SELECT nope")]',
            {"mc2": Namespace("mc2", {"Job": OnFirstLine()})},
        )
    assert (caught.value.line, caught.value.column) == (3, 22)


@pytest.mark.parametrize(
    "query", ["'SELECT ' + 'a'", "f'SELECT {1}'", "'SELECT \\n a'", "text", "'a' 'b'"]
)
def test_a_query_that_was_put_together_is_pointed_at_as_a_whole(query):
    error = refused(f"from mc2 import Job\ntext = 'x'\nJob.sql({query})")
    assert (error.line, error.column) == (3, 1)
    assert "in line 2, column 5 of the query: no such column" in str(error)


def test_other_errors_of_the_api_are_plan_errors_at_their_place():
    error = refused("from mc2 import Job\nJob.table('x')")
    assert (error.line, error.column, error.hint) == (2, 1, "another")
    error = refused("from mc2 import Job\nJob.view('x')")
    assert (error.line, error.column, error.hint) == (2, 1, "elsewhere")


def test_the_script_sees_no_attribute_of_a_namespace():
    space = Namespace("mc2", {"Job": 1})
    assert space.Job == 1
    with pytest.raises(PlanError, match="offers scripts no 'nope'"):
        space.nope  # noqa: B018 - the access is the test
