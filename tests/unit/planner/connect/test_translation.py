"""DataFrame messages to scripts: strict reading, names, literals, types, and text that means itself."""

from __future__ import annotations

import ast
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.catalogs import PACKAGES, catalog
from tests.support.dataframes import TABLES
from tests.support.differential import catalog_of_tables, planned

from mc2.errors import PlanError
from mc2.formats.schema import DataType, decimal
from mc2.planner.connect.ddl import parse_ddl
from mc2.planner.connect.frame import quoted, split_name, unique
from mc2.planner.connect.literals import double_sql, java_double, literal, text_sql
from mc2.planner.connect.message import Message
from mc2.planner.connect.program import Program
from mc2.planner.connect.relations import View, script_of, translate
from mc2.planner.connect.types import read_type, tree_string, type_message
from mc2.planner.script import compile_here

VISITS = {"read": {"named_table": {"unparsed_identifier": "clinic_a.visits"}}}


def column(name: str, plan_id: int | None = None) -> dict:
    inner: dict = {"unparsed_identifier": name}
    if plan_id is not None:
        inner["plan_id"] = str(plan_id)
    return {"unresolved_attribute": inner}


def frame_of(relation, views=None):
    return translate(relation, Program(catalog()), views or {})


def test_a_field_that_nobody_asked_for_is_refused_by_name():
    relation = {"filter": {"input": VISITS, "condition": column("smoker"), "novelty": 1}}
    with pytest.raises(PlanError, match="filter with novelty"):
        frame_of(relation)


@pytest.mark.parametrize(
    "relation",
    [
        {},
        {"read": {}, "filter": {}},
        {"read": None},
        {"filter": {"input": VISITS}},
        {"filter": {"condition": column("smoker")}},
        {"limit": {"input": VISITS, "limit": "many"}},
        {"limit": {"input": VISITS, "limit": -1}},
        {"project": {"input": VISITS, "expressions": "x"}},
        {"project": {"input": VISITS, "expressions": [{}]}},
        {"novelty": {"input": VISITS}},
        {"sort": {"input": VISITS, "is_global": True}},
        {"read": {"named_table": {"unparsed_identifier": "a.b.c"}}},
        {"read": {"named_table": {"unparsed_identifier": "`clinic_a"}}},
        {"read": {"named_table": {"unparsed_identifier": "clinic_a.visits"}, "is_streaming": True}},
    ],
)
def test_malformed_relations_are_plan_errors(relation):
    with pytest.raises(PlanError):
        frame_of(relation)


def test_deep_dataframes_are_refused_not_crashed():
    relation = VISITS
    for _ in range(2000):
        relation = {"hint": {"input": relation, "name": "x"}}
    with pytest.raises(PlanError, match="too many steps"):
        frame_of(relation)


def test_the_script_is_the_same_each_time_and_compiles_to_the_frames_schema():
    relation = {
        "limit": {
            "input": {
                "project": {
                    "input": VISITS,
                    "expressions": [
                        column("site"),
                        {"alias": {"expr": column("age"), "name": ["it's"]}},
                    ],
                }
            },
            "limit": 3,
        }
    }
    frame, script = script_of(relation, Program(catalog()), {}, "clinic_a")
    assert script == script_of(relation, Program(catalog()), {}, "clinic_a")[1]
    plan = compile_here(script, name="dataframe.py", catalog=catalog(), packages=PACKAGES)
    (output,) = plan.outputs
    assert output.recipients == ("clinic_a",)
    schema = plan.nodes[output.node].schema
    assert [(c.name, c.type, c.nullable) for c in schema.columns] == [
        (c.inner, c.type, c.nullable) for c in frame.visible
    ]
    assert schema.names == ("site", "it's")


def test_a_view_sees_the_views_of_its_own_time():
    inner = View(VISITS, {})
    outer = View({"sql": {"query": "SELECT site FROM v"}}, {"v": inner})
    again = {"v": outer}
    frame = frame_of({"sql": {"query": "SELECT * FROM v"}}, again)
    assert [c.name for c in frame.columns] == ["site"]


@pytest.mark.parametrize("name", ["query", "dialect", "class", "__x", "a b"])
def test_views_whose_name_no_argument_can_have_are_refused(name):
    text = f"SELECT * FROM `{name}`"
    with pytest.raises(PlanError, match="cannot name the view"):
        frame_of({"sql": {"query": text}}, {name: View(VISITS, {})})


@settings(deadline=None, max_examples=25)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]),
        max_size=12,
    )
)
def test_text_constants_mean_themselves(text):
    query = f"SELECT {text_sql(text)} AS x FROM ada.people WHERE id = 1"
    assert planned(query, TABLES) == [(text,)]


@pytest.mark.parametrize(
    "text",
    ["it's", "a\\b", "\\'", "'", "''", "\\\\", "a\nb", "\t", "%_", "{t1}", '"', '"""', "é🙂"],
)
def test_text_constants_survive_the_script(text):
    relation = {
        "project": {
            "input": VISITS,
            "expressions": [{"alias": {"expr": {"literal": {"string": text}}, "name": ["x"]}}],
        }
    }
    _, script = script_of(relation, Program(catalog()), {}, "clinic_a")
    plan = compile_here(script, name="dataframe.py", catalog=catalog(), packages=PACKAGES)
    literals = [
        c.expression.text
        for node in plan.nodes
        for c in getattr(node.operation, "columns", ())
        if hasattr(c, "expression") and hasattr(c.expression, "text")
    ]
    assert text in literals
    ast.parse(script)


def test_control_characters_are_refused():
    with pytest.raises(PlanError, match="control character"):
        text_sql("a\x00b")


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(deadline=None, max_examples=25)
def test_doubles_mean_themselves(number):
    found = planned(f"SELECT {double_sql(number)} AS x FROM ada.people WHERE id = 1", TABLES)
    assert found == [(round(number, 6) + 0.0,)]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (0.001, "0.001"), (1e-4, "1.0E-4"),
        (1e7, "1.0E7"), (9999999.0, "9999999.0"), (12345678.9, "1.23456789E7"),
        (1.5e300, "1.5E300"), (1e22, "1.0E22"), (1e23, "1.0E23"), (-2.5e-10, "-2.5E-10"),
        (math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN"),
        (123456789012345680.0, "1.2345678901234568E17"),
    ],
)  # fmt: skip
def test_doubles_are_shown_as_java_does(number, shown):
    assert java_double(number) == shown


@pytest.mark.parametrize(
    ("value", "sql", "shown"),
    [
        ({"integer": 3}, "3", "3"),
        ({"long": "3"}, "CAST(3 AS BIGINT)", "3"),
        ({"short": -3}, "CAST(-3 AS SMALLINT)", "-3"),
        ({"boolean": False}, "false", "false"),
        ({"double": 1.5}, "1.5e0", "1.5"),
        ({"double": "NaN"}, "CAST('NaN' AS DOUBLE)", "NaN"),
        ({"null": {"null": {}}}, "NULL", "NULL"),
        ({"null": {"integer": {}}}, "CAST(NULL AS INT)", "NULL"),
        ({"date": 20000}, "CAST('2024-10-04' AS DATE)", "DATE '2024-10-04'"),
        ({"decimal": {"value": "1.50"}}, "CAST('1.50' AS DECIMAL(3, 2))", "1.50"),
        ({"decimal": {"value": "1.5", "precision": 5, "scale": 2}}, "CAST('1.5' AS DECIMAL(5, 2))", "1.5"),
        ({"timestamp": "1000000"}, "CAST('1970-01-01 00:00:01' AS TIMESTAMP)", "TIMESTAMP '1970-01-01 00:00:01'"),
    ],
)  # fmt: skip
def test_constants(value, sql, shown):
    assert literal(value) == (sql, shown)


@pytest.mark.parametrize(
    "value", [{}, {"binary": "AA=="}, {"calendar_interval": {}}, {"decimal": {"value": "x"}},
              {"decimal": {"value": "NaN"}}, {"integer": 1, "long": "2"}],
)  # fmt: skip
def test_other_constants_are_refused(value):
    with pytest.raises(PlanError):
        literal(value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a", ["a"]), ("a.b", ["a", "b"]), ("`a.b`", ["a.b"]), ("`a``b`.c", ["a`b", "c"]), ("x y", ["x y"])],
)  # fmt: skip
def test_names_split_at_dots_outside_of_backticks(text, parts):
    assert split_name(text) == parts


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "`a", "a`b", "``"])
def test_names_that_are_none(text):
    with pytest.raises(PlanError, match="no name of a column"):
        split_name(text)


def test_names_become_unique_without_regard_to_case():
    assert unique(["a", "A", "a_2", "a"]) == ["a", "A_2", "a_2_2", "a_3"]
    assert quoted("select") == "`select`"
    assert quoted("a b`c") == "`a b``c`"
    assert quoted("plain_1") == "plain_1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bigint", DataType("int64")),
        ("a int", [("a", DataType("int32"), True)]),
        ("a: int, `b c` decimal(5, 2) NOT NULL", [("a", DataType("int32"), True), ("b c", decimal(5, 2), False)]),
        ("array<string>", DataType("list", element=DataType("string"))),
        ("s struct<x: int, y: array<date>>", [("s", DataType("struct", fields=(("x", DataType("int32")), ("y", DataType("list", element=DataType("date"))))), True)]),
    ],
)  # fmt: skip
def test_ddl(text, expected):
    assert parse_ddl(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "a int,", "a int b", "map<int, int>", "decimal(x)", "a !", "struct<int>"]
)
def test_ddl_that_is_none(text):
    with pytest.raises(PlanError):
        parse_ddl(text)


@pytest.mark.parametrize(
    "kind",
    ["boolean", "int8", "int16", "int32", "int64", "float", "double", "string", "binary", "date", "timestamp", "timestamp_utc"],
)  # fmt: skip
def test_types_go_and_come_back(kind):
    assert read_type(type_message(DataType(kind))) == DataType(kind)


def test_nested_types_go_and_come_back():
    kind = DataType("list", element=DataType("struct", fields=(("x", decimal(9, 3)),)))
    assert read_type(type_message(kind)) == kind
    assert tree_string([("a", kind, True)]) == (
        "root\n |-- a: array (nullable = true)\n |    |-- element: struct (containsNull = true)\n"
        " |    |    |-- x: decimal(9,3) (nullable = true)\n"
    )


@pytest.mark.parametrize(
    "value", [{}, {"map": {}}, {"variant": {}}, {"string": {"collation": "UNICODE"}}]
)
def test_other_types_are_refused(value):
    with pytest.raises(PlanError):
        read_type(value)


def test_messages_take_each_field_once():
    message = Message({"a": 1, "b": "x"}, "a thing")
    assert message.integer("a") == 1
    assert message.text("b") == "x"
    assert message.text("b", "gone") == "gone"
    message.done()
    with pytest.raises(PlanError, match="is no text"):
        Message({"a": 1}, "a thing").text("a")
    with pytest.raises(PlanError, match="is no boolean"):
        Message({"a": 1}, "a thing").flag("a")
    with pytest.raises(PlanError, match="is no list"):
        Message({"a": "xy"}, "a thing").items("a")


def test_datasets_are_known_by_the_catalog_alone():
    with pytest.raises(PlanError, match="there is no dataset"):
        translate(
            {"read": {"named_table": {"unparsed_identifier": "ada.nothing"}}},
            Program(catalog_of_tables(TABLES)),
            {},
        )


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ({"end": "3"}, range(3)),
        ({"start": "5", "end": "-4", "step": "-3"}, range(5, -4, -3)),
        ({"start": str(2**40), "end": str(2**40 + 2), "step": "1"}, range(2**40, 2**40 + 2)),
        ({"start": "-1", "end": "10000", "step": "5000"}, (-1, 4999, 9999)),
    ],
)
def test_ranges_are_rows_of_the_script(given, numbers):
    visits = {"read": {"named_table": {"unparsed_identifier": "clinic_a.visits"}}}
    relation = {
        "join": {
            "left": {"range": {**given, "num_partitions": 4}},
            "right": {"limit": {"input": visits, "limit": 1}},
            "join_type": "JOIN_TYPE_CROSS",
        }
    }
    frame, script = script_of(relation, Program(catalog()), {}, "institute")
    assert (frame.columns[0].name, str(frame.columns[0].type)) == ("id", "int64")
    plan = compile_here(script, name="d.py", catalog=catalog(), packages=PACKAGES)
    found = [n.operation.rows for n in plan.nodes if n.operation.OP == "values"]
    assert [[int(v.text) for (v,) in rows] for rows in found] == [list(numbers)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"end": "0"}, "0 rows"),
        ({"end": "10001"}, "10001 rows"),
        ({"end": "5", "step": "0"}, "step of 0"),
        ({"end": "many"}, "no whole number"),
    ],
)
def test_ranges_that_no_script_holds(given, message):
    with pytest.raises(PlanError, match=message):
        frame_of({"range": given})
