"""Stock PySpark code over the endpoint, against DuckDB."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.connect import EngineRunner, spark_session
from tests.support.dataframes import REFUSED, SNIPPETS, SNIPPETS_OF_OUR_OWN, TABLES, Snippet
from tests.support.differential import direct, rows_of

pytestmark = [
    pytest.mark.usefixtures("enclaves"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:WARN WindowExpression:UserWarning"),
]


CLASSIC = json.loads((Path(__file__).resolve().parents[3] / "golden" / "pyspark.json").read_text())


@pytest.fixture(scope="module")
def names():
    from pyspark.sql import Window
    from pyspark.sql.connect import functions

    with spark_session(EngineRunner(TABLES)) as spark:
        found = {"spark": spark, "F": functions, "W": Window}
        for dataset in TABLES:
            found[dataset.partition(".")[2]] = spark.read.table(dataset)
        found["people"].filter("age > 40").createOrReplaceTempView("elders")
        yield found


_EXPECTED = [s for s in (*SNIPPETS, *SNIPPETS_OF_OUR_OWN) if s.expected]


@pytest.mark.parametrize("snippet", _EXPECTED, ids=lambda s: s.name)
def test_code_gives_what_duckdb_gives(names, snippet: Snippet):
    frame = eval(snippet.code, dict(names))  # noqa: S307 - this repository's own code
    expected = snippet.expected
    rows = direct(expected, TABLES) if isinstance(expected, str) else expected
    schema = frame.schema
    table = frame.toArrow()
    found = rows_of(table)
    rows = [tuple(plain_row(r)) for r in rows]
    if snippet.ordered:
        assert found == rows
    else:
        assert sorted(found, key=repr) == sorted(rows, key=repr)
    if snippet.columns:
        assert tuple(frame.columns) == snippet.columns
    # What AnalyzePlan says from types alone is what comes out.
    assert table.column_names == schema.names
    from pyspark.sql.pandas.types import to_arrow_schema

    assert [f.type for f in table.schema] == [
        f.type for f in to_arrow_schema(schema, timezone="UTC")
    ]
    for field in schema:
        if not field.nullable:
            assert all(
                c.null_count == 0
                for c, n in zip(table.columns, schema.names, strict=True)
                if n == field.name
            )


def _run(code, names) -> None:
    eval(code, dict(names)).collect()  # noqa: S307 - this repository's own code


def plain_row(row):
    from tests.support.differential import plain

    return [plain(v) for v in row]


@pytest.mark.parametrize(("code", "words"), REFUSED, ids=[c for c, _ in REFUSED])
def test_what_cannot_run_is_named(names, code, words):
    from pyspark.errors import AnalysisException

    with pytest.raises(AnalysisException) as caught:
        _run(code, names)
    assert words in str(caught.value)
    assert "[MC2_" in str(caught.value)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda s: s.name)
def test_code_gives_what_classic_pyspark_gave(names, snippet: Snippet):
    """Names, types and rows of real Spark, as `tests.support.classic_spark` wrote them down."""
    spark = CLASSIC[snippet.code]
    assert "error" not in spark
    frame = eval(snippet.code, dict(names))  # noqa: S307 - this repository's own code
    assert frame.columns == spark["columns"]
    assert [f.dataType.simpleString() for f in frame.schema] == spark["types"]
    found = [list(row) for row in rows_of(frame.toArrow())]
    if snippet.ordered:
        assert [list(map(_near, r)) for r in found] == [list(map(_near, r)) for r in spark["rows"]]
    elif "dropDuplicates(['town'])" not in snippet.code:
        assert sorted(found, key=repr) == sorted(spark["rows"], key=repr)


def _near(value):
    """A long fraction as text, less its last digits: a standard deviation depends on the order."""
    if isinstance(value, str) and value.replace(".", "", 1).isdigit() and len(value) > 14:
        return f"{float(value):.13g}"
    return value
