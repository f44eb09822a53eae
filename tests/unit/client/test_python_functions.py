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


@pytest.mark.parametrize("script", ["", "SELECT 1 (", "x = 1", "\0"])
def test_other_text_has_none(script):
    assert sources_in(script) == ()
