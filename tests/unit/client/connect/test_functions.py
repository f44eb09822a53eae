"""Python functions that stock PySpark sends: read back as source, never loaded."""

from __future__ import annotations

import base64
import math
import pickle
import sys

import pyarrow as pa
import pytest
from tests.support.connect import EngineRunner, spark_session

from mc2.client.connect.functions import Functions
from mc2.errors import PlanError

TABLES = {
    "a.t": pa.table({"x": pa.array([3, -7, None, 0], pa.int64()), "s": ["Ab c", None, "xyz", ""]})
}
LEFT = []


def band(s, n):
    """Words that everybody reads."""
    if s is None or n is None:
        return None
    return s[:2] + f"{n}"


def with_default(x, y=1):
    return x


def outside(x):
    return math.sqrt(x)


def plus(x):
    return x + 1


def imported(x):
    return x


for _function in (band, with_default, outside, plus):
    _function.__module__ = "__main__"  # as in a program or notebook: sent whole, not by name


@pytest.fixture(scope="module")
def spark():
    with spark_session(EngineRunner(TABLES)) as session:
        yield session


@pytest.mark.filterwarnings("ignore")
def test_functions_stand_as_source_in_the_script():
    runner = EngineRunner(TABLES)
    with spark_session(runner) as spark:
        from pyspark.sql import functions as F  # noqa: N812 - PySpark's custom

        @F.udf("bigint")
        def twice(x):
            return None if x is None else x * 2

        named = F.udf(band, "string")
        table = spark.read.table("a.t")
        found = table.select(
            twice("x"), named("s", twice("x")), F.udf(lambda x: 1 if x is None else 2, "int")("x")
        )
        assert found.columns == ["twice(x)", "band(s, twice(x))", "<lambda>(x)"]
        assert found.toArrow().to_pydict() == {
            "twice(x)": [6, -14, None, 0],
            "band(s, twice(x))": ["Ab6", None, None, "0"],
            "<lambda>(x)": [2, 2, 1, 2],
        }
        table.filter(twice("x") > 1).createOrReplaceTempView("v")
        assert spark.sql("SELECT x FROM v").toArrow().to_pydict() == {"x": [3]}
    script = runner.scripts[0]
    assert '"""Words that everybody reads."""' in script
    assert 'twice = job.udf(twice, "bigint", name="twice")' in script
    assert "lambda x: 1 if x is None else 2" in script
    assert "band" not in runner.scripts[1]  # what no step calls is left out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f.udf(outside, "double")("x"), "math|subimport"),
        (lambda f: f.udf(math.sqrt, "double")("x"), "math.sqrt"),
        (lambda f: f.udf(with_default, "bigint")("x"), "plain parameters"),
        (lambda f: f.udf(plus, "bigint")("x"), "may be None"),
        (lambda f: f.udf(imported, "bigint")("x"), "test_functions.imported"),
        (lambda f: f.udf(eval("lambda x: x"), "bigint")("x"), "source of the Python function"),  # noqa: S307
        (lambda f: f.pandas_udf(lambda x: x, "bigint")("x"), "pandas_udf"),
        (lambda f: f.udf(lambda x: x, "bigint").asNondeterministic()("x"), "not deterministic"),
    ],
)  # fmt: skip
def test_what_has_no_plain_source_is_refused(spark, make, message):
    from pyspark.errors.exceptions.connect import AnalysisException
    from pyspark.sql import functions as F  # noqa: N812

    with pytest.raises(AnalysisException, match=message):
        _ = spark.read.table("a.t").select(make(F)).columns


class _Hostile:
    def __reduce__(self):
        return (LEFT.append, ("run",))


def message(command):
    return {
        "common_inline_user_defined_function": {
            "function_name": "f",
            "deterministic": True,
            "python_udf": {
                "output_type": {"long": {}},
                "eval_type": 100,
                "command": command,
                "python_ver": f"{sys.version_info.major}.{sys.version_info.minor}",
            },
        }
    }


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps((_Hostile(), 1)),
        b"cos\nsystem\n(S'exit 3'\ntR.",
        b"cbuiltins\nexec\n(S'LEFT.append(1)'\ntR.",
        b"cpyspark.cloudpickle.cloudpickle\nsubimport\n(S'os'\ntR.",
        pickle.dumps(1),
        pickle.dumps((1, 2)),
        b"",
        b"\x80\x05",
        b"cpyspark.cloudpickle.cloudpickle\n_make_function\n(tR0]",
        b"(cpyspark.cloudpickle.cloudpickle\n_make_function\n(tRt.",
    ],
)
def test_a_hostile_pickle_is_data(data):
    with pytest.raises(PlanError):
        Functions().rewritten(message(base64.b64encode(data).decode()))
    assert not LEFT


@pytest.mark.filterwarnings("ignore")
def test_code_that_the_file_does_not_hold_is_refused():
    from pyspark import cloudpickle

    changed = band.__code__.replace(co_consts=(*band.__code__.co_consts[:-1], 3))
    function = type(band)(changed, {}, "band")
    function.__module__ = "__main__"
    with pytest.raises(PlanError, match="source of the Python function"):
        Functions().rewritten(message(base64.b64encode(cloudpickle.dumps((function, 1))).decode()))
