"""Functions with lambdas: typed, put in words, refused where they must be, and computed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.support.catalogs import PACKAGES
from tests.support.differential import LIMITS, ArrowSource, catalog_of_tables

from mc2.client.plan_words import expression_words, step_words
from mc2.engine.run import execute
from mc2.errors import PlanError
from mc2.formats.schema import Column, parse_type
from mc2.plan.check import check_plan
from mc2.plan.expressions import ColumnRef, Lambda, Parameter, call, columns_of, literal
from mc2.plan.types import DOUBLE, INT32
from mc2.plan.typing import type_of
from mc2.planner.script import compile_here

PAGE = Path(__file__).resolve().parents[3] / "docs" / "howto" / "write-a-script.md"
COLUMNS = {
    "a": Column("a", parse_type("list<int32>")),
    "k": Column("k", parse_type("int32"), nullable=False),
}
A, K, X, N, S = ColumnRef("a"), ColumnRef("k"), *(Parameter(n) for n in ("x", "n", "s"))
VECTORS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "v": pa.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]], pa.list_(pa.float64())),
        "w": pa.array([[2.0, 1.0], [0.0, 1.0], [4.0, 4.0]], pa.list_(pa.float64())),
        "x": pa.array([10, 20, 30], pa.int64()),
    }
)


def plan_of(query):
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    catalog = catalog_of_tables({"p.vectors": VECTORS})
    return check_plan(compile_here(script, name="t.py", catalog=catalog, packages=PACKAGES))


def rows(query):
    plan = plan_of(query)
    found = execute(plan, {"p.vectors": ArrowSource(VECTORS)}, LIMITS, lambda _: None)["r"].table
    return [tuple(c[i].as_py() for c in found.columns) for i in range(found.num_rows)]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        (call("list_map", A, Lambda(("x",), call("is_null", X))), "list<boolean>"),
        (call("list_map", call("list", K), Lambda(("x", "n"), call("add", X, N))), "list<int32>!"),
        (call("list_filter", A, Lambda(("x", "n"), call("eq", N, K))), "list<int32>"),
        (
            call(
                "list_reduce",
                A,
                literal(1.5, DOUBLE),
                Lambda(("s", "x"), S),
                Lambda(("s",), call("is_nan", S)),
            ),
            "boolean",
        ),
        (call("list_zip", A, call("list", K)), "list<struct<first:int32,second:int32>>"),
    ],
)
def test_types(expression, kind):
    found = type_of(expression, COLUMNS)
    assert str(found.type) + ("" if found.nullable else "!") == kind


def test_what_a_lambda_reads_is_read():
    inner = Lambda(("x",), call("add", X, K))
    assert columns_of(call("list_map", A, inner)) == {"a", "k"}
    assert expression_words(call("list_map", A, inner)) == "list_map(a, x -> x + k)"


def test_a_column_is_no_parameter_and_a_parameter_no_column():
    for body in (ColumnRef("x"), Parameter("k"), Parameter("a")):
        with pytest.raises(PlanError):
            type_of(call("list_map", A, Lambda(("x",), body)), COLUMNS)
    # A column may have the name of a parameter: each is asked for by its own kind.
    columns = {**COLUMNS, "x": Column("x", parse_type("string"))}
    one = Lambda(("x",), call("list_join", call("list", ColumnRef("x")), ColumnRef("x")))
    assert str(type_of(call("list_map", A, one), columns).type) == "list<string>"


@pytest.mark.parametrize(
    "expression",
    [
        X,
        Lambda(("x",), X),
        call("list_map", A),
        call("list_map", Lambda(("x",), X)),
        call("list_map", A, A),
        call("list_map", K, Lambda(("x",), X)),
        call("list_map", A, Lambda(("x", "n", "s"), X)),
        call("list_map", A, Lambda(("x",), X), Lambda(("x",), X)),
        call("list_map", A, Lambda(("x",), call("list_map", A, Lambda(("x",), X)))),
        call("list_size", Lambda(("x",), A)),
        call("list_reduce", A, literal(0, INT32), Lambda(("s",), S), literal(0, INT32)),
        call("list_reduce", A, Lambda(("s",), S), Lambda(("s",), S)),
    ],
)
def test_what_is_no_lambda_in_its_place_is_refused(expression):
    with pytest.raises(PlanError):
        type_of(expression, COLUMNS)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("transform(v, 1)", "takes a lambda"),
        ("transform(v, (x, y, z) -> x)", "1 or 2 different parameters"),
        ("transform(v, (x, x) -> x)", "different parameters"),
        ("transform(x -> x, v)", "other arguments"),
        ("transform(id, x -> x)", "is no array"),
        ("transform(v, x -> NULL)", "NULL has no type"),
        ("transform(v, x -> y)", "no column 'y'"),
        ("transform(v, x -> sum(x))", "of a lambda may not stand here"),
        ("transform(v, x -> (SELECT max(id) FROM p.vectors WHERE id = x))", "'x'"),
        ("filter(v, x -> x + 1)", "not a boolean"),
        ("aggregate(v, 0, (s, x) -> s + x)", "starts with a int32"),
        ("aggregate(v, 0D, s -> s)", "2 different parameters"),
        ("zip_with(v, w, x -> x)", "2 different parameters"),
        ("array_sort(v, (x, y) -> x < y)", "not an integer"),
        ("upper(x -> x)", "may not stand here"),
    ],
)
def test_refusals_of_queries_name_the_place(query, words):
    with pytest.raises(PlanError, match=r"line \d+, column \d+") as caught:
        plan_of(f"SELECT {query} AS e FROM p.vectors")
    assert words in str(caught.value)


def test_the_innermost_of_equal_names_is_meant_and_is_renamed():
    query = "SELECT transform(v, x -> transform(w, x -> x + 1D)) AS e FROM p.vectors WHERE x = 10"
    assert rows(query) == [([[3.0, 2.0]] * 2,)]
    plan = plan_of(query).plan
    words = " ".join(step_words(plan, i) for i in range(len(plan.nodes)))
    assert "x -> list_map(w, x_2 -> x_2 + 1.0)" in words


def test_a_parameter_hides_a_column():
    assert rows("SELECT transform(v, x -> x) AS e, x FROM p.vectors WHERE id = 1") == [
        ([1.0, 2.0], 10)
    ]


def how_to():
    """What the how-to says of vectors, by what is wanted."""
    lines = [line for line in PAGE.read_text().splitlines() if "->" in line and line[:2] == "| "]
    return dict(re.findall(r"^\| (.*?) \| `(.*)` \|$", "\n".join(lines), re.MULTILINE))


V, W = (np.array(VECTORS[n].to_pylist()) for n in ("v", "w"))
POINTS = np.array([[0.0, 0.0], [3.0, 0.0]])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("dot product", (V * W).sum(axis=1)),
        ("sum of both", V + W),
        ("product with a number", V * 2.5),
        ("square of the distance", ((V - W) ** 2).sum(axis=1)),
        (
            "place of the closest of some points",
            ((V[:, None] - POINTS) ** 2).sum(axis=2).argmin(axis=1),
        ),
    ],
)
def test_vectors_of_the_how_to_give_what_numpy_gives(wanted, expected):
    found = rows(f"SELECT id, {how_to()[wanted]} AS e FROM p.vectors")
    assert [e for _, e in sorted(found)] == expected.tolist()


def test_the_sum_of_vectors_of_the_how_to_is_that_of_their_elements():
    query = how_to()["sum over all rows"].replace("FROM points", "FROM p.vectors")
    assert rows(query) == [(V.sum(axis=0).tolist(),)]


def test_vectors_of_different_lengths_have_no_dot_product():
    one = how_to()["dot product"].replace("w,", "array(1D),")
    assert rows(f"SELECT {one} AS e FROM p.vectors WHERE id = 1") == [(None,)]
