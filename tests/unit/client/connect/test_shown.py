"""`show()`: the same characters as Spark."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from mc2.client.connect.shown import show_string


def shown(table: pa.Table, **options) -> str:
    given = {"count": 20, "truncate": 20, "vertical": False} | options
    return show_string(table.column_names, table, **given)


def test_values_of_every_type():
    table = pa.table(
        {
            "i": [1, None],
            "d": [1.5, float("nan")],
            "f": pa.array([0.1, 1e10], pa.float32()),
            "n": [Decimal("1.50"), None],
            "t": [date(2026, 1, 31), None],
            "s": pa.array(
                [datetime(2026, 1, 31, 1, 2, 3, 500000, UTC), None], pa.timestamp("us", "UTC")
            ),
            "b": [True, False],
            "x": [b"\x01\xff", None],
            "l": pa.array([[1, None], []], pa.list_(pa.int64())),
            "r": pa.array(
                [{"a": 1, "b": "x"}, None], pa.struct([("a", pa.int64()), ("b", pa.string())])
            ),
        }
    )
    assert shown(table) == (
        "+----+---+------+----+----------+---------------------+-----+-------+---------+------+\n"
        "|   i|  d|     f|   n|         t|                    s|    b|      x|        l|     r|\n"
        "+----+---+------+----+----------+---------------------+-----+-------+---------+------+\n"
        "|   1|1.5|   0.1|1.50|2026-01-31|2026-01-31 01:02:0...| true|[01 FF]|[1, NULL]|{1, x}|\n"
        "|NULL|NaN|1.0E10|NULL|      NULL|                 NULL|false|   NULL|       []|  NULL|\n"
        "+----+---+------+----+----------+---------------------+-----+-------+---------+------+\n"
    ).replace("2026-01-31 01:02:0...", "2026-01-31 01:02:...").replace(
        "---------------------+-----+", "--------------------+-----+"
    ).replace("                    s|", "                   s|").replace(
        "                 NULL|false", "                NULL|false"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"count": 1}, "+---+\n|  x|\n+---+\n| ab|\n+---+\nonly showing top 1 row\n"),
        ({"truncate": 0}, "+-----+\n|x    |\n+-----+\n|ab   |\n|c\\nde|\n+-----+\n"),
        ({"truncate": 2}, "+---+\n|  x|\n+---+\n| ab|\n| c\\|\n+---+\n"),
        ({"vertical": True}, "-RECORD 0----\n x   | ab    \n-RECORD 1----\n x   | c\\nde \n"),
        ({"count": 0}, "+---+\n|  x|\n+---+\n+---+\nonly showing top 0 rows\n"),
    ],
)
def test_options(options, expected):
    assert shown(pa.table({"x": ["ab", "c\nde"]}), **options) == expected


def test_no_rows_and_wide_characters():
    assert shown(pa.table({"x": pa.array([], pa.int64())}), vertical=True) == "(0 rows)\n"
    assert shown(pa.table({"x": ["日本"]})) == "+----+\n|   x|\n+----+\n|日本|\n+----+\n"
