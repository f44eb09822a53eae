"""The Python functions of a script, word for word."""

from __future__ import annotations

import pytest

from mc2.client.python_functions import sources_in

SCRIPT = """import mc2
job = mc2.Job("t")
@job.udf("int")
def a(x):
    # Why.
    return 1

def unused(x):
    return 2

def b(x):
    return 3
b = job.udf(b, "int")
c = job.udf(lambda x: 4,
            "int", name="c")
"""


def test_each_function_is_shown_as_it_stands():
    assert sources_in(SCRIPT) == (
        '@job.udf("int")\ndef a(x):\n    # Why.\n    return 1',
        "def b(x):\n    return 3",
        'c = job.udf(lambda x: 4,\n            "int", name="c")',
    )


TWO = "def f(x):\n    return 1\n\ndef g(x):\n    return 2\n"
HIDING = [
    "from mc2 import udf as u\n" + TWO + "f = u(f, 'int')\n",
    "from pyspark.sql.functions import udf as u\n" + TWO + "h = u(g, 'int')\n",
    TWO + "u = job.udf\nh = u(f, 'int')\n",
    TWO + "h = f\nh = job.udf(h, 'int')\n",
    TWO + "f = g\njob.udf(f, 'int')\n",
    TWO + "for f in [g]:\n    job.udf(f, 'int')\n",
    TWO + "def made(f):\n    return job.udf(f, 'int')\nmade(g)\n",
    TWO + "job.udf([f, g][1], 'int')\n",
    TWO + "job.udf(f if late else g, 'int')\n",
    TWO + "u = [job.udf]\nu[0](g, 'int')\n",
    TWO + "job.udf(**{'f': g, 'returnType': 'int'})\n",
    TWO + "job.udf(*[g, 'int'])\n",
    TWO + "both = job.udf('int')\nboth(g)\n",
]


@pytest.mark.parametrize("script", HIDING)
def test_nothing_hides_behind_another_name(script):
    shown = sources_in(script)
    assert "def f(x):\n    return 1" in shown
    assert "def g(x):\n    return 2" in shown


def test_a_decorator_beneath_hides_nothing():
    script = TWO + "def other(_):\n    return g\n@job.udf('int')\n@other\ndef h(x):\n    return 3\n"
    assert "def g(x):\n    return 2" in sources_in(script)


def test_an_import_by_its_own_name_shows_what_is_declared():
    script = "from mc2 import udf\n" + TWO + "g = udf(g, 'int')\n"
    assert sources_in(script) == ("def g(x):\n    return 2",)


def test_a_script_without_them_shows_none():
    assert sources_in(TWO) == ()


@pytest.mark.parametrize("script", ["", "SELECT 1 (", "x = 1", "\0"])
def test_other_text_has_none(script):
    assert sources_in(script) == ()
