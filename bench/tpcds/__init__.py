"""TPC-DS: its 24 tables and the views of a script over them.

Neither its query texts nor its data are here: `bench.tpcds.data` makes both with DuckDB's own
extension, and any folder of query texts in Spark's SQL will do as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import sqlglot
from sqlglot import exp

TABLES: Final = (
    "call_center", "catalog_page", "catalog_returns", "catalog_sales", "customer",
    "customer_address", "customer_demographics", "date_dim", "household_demographics",
    "income_band", "inventory", "item", "promotion", "reason", "ship_mode", "store",
    "store_returns", "store_sales", "time_dim", "warehouse", "web_page", "web_returns",
    "web_sales", "web_site",
)  # fmt: skip
PARTY: Final = "clinic_a"


def named_tables(text: str, dialect: str) -> list[str]:
    """The tables that a query names."""
    found = {t.name.lower() for t in sqlglot.parse_one(text, dialect=dialect).find_all(exp.Table)}
    return [name for name in TABLES if name in found]


def script(text: str, dialect: str, *, to: str) -> str:
    """A script that releases a query's result, `answer`, over datasets `party.<table>`."""
    names = named_tables(text, dialect)
    views = [f'job.view("{n}", job.table("{PARTY}.{n}"))' for n in names]
    lines = ["import mc2", 'job = mc2.Job("TPC-DS")', *views]
    lines.append(f'job.release("answer", job.sql({text!r}, dialect="{dialect}"), to="{to}")')
    return "\n".join(lines) + "\n"


def specified(tables: Mapping[str, pa.Table], dialect: str) -> dict[str, pa.Table]:
    """The tables with keys and whole numbers of 32 bits, as the specification has them.

    Spark's texts have an older name of one column.
    """
    renamed = {"c_last_review_date_sk": "c_last_review_date"} if dialect == "spark" else {}
    found = {}
    for name, table in tables.items():
        kinds = [pa.int32() if f.type == pa.int64() else f.type for f in table.schema]
        cast = table.cast(pa.schema(list(zip(table.schema.names, kinds, strict=True))))
        found[name] = cast.rename_columns([renamed.get(n, n) for n in cast.schema.names])
    return found
