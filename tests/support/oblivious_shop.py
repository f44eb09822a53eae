"""TPC-H's tables as one owner would seal them padded, and its queries in oblivious mode."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from bench import tpch

from mc2.plan.check import check_plan
from mc2.planner.script import compile_here
from tests.support.catalogs import PACKAGES
from tests.support.differential import catalog_of_tables
from tests.support.oblivious import facts_of, padded

KEYS = {
    "customer": (("c_custkey",),),
    "lineitem": (("l_linenumber", "l_orderkey"),),
    "nation": (("n_nationkey",),),
    "orders": (("o_orderkey",),),
    "part": (("p_partkey",),),
    "partsupp": (("ps_partkey", "ps_suppkey"),),
    "region": (("r_regionkey",),),
    "supplier": (("s_suppkey",),),
}
"""What the owner declares unique: the primary keys."""


class Shop:
    """The tables of one scale, sealed as an owner would."""

    def __init__(self, scale, owner="shop", domains=None, ranges=None, ascending=None):
        self.owner = owner
        self.tables = tpch.tables(scale)
        self.facts = {
            n: facts_of(
                t,
                unique=KEYS[n],
                domains=(domains or {}).get(n, {}),
                ranges=(ranges or {}).get(n, {}),
                ascending=(ascending or {}).get(n, ()),
            )
            for n, t in self.tables.items()
        }
        known = catalog_of_tables({f"{owner}.{n}": t for n, t in self.tables.items()})
        datasets = {
            name: replace(
                entry,
                sizes="padded",
                facts=self.facts[name.removeprefix(f"{owner}.")],
                row_bound=self.tables[name.removeprefix(f"{owner}.")].num_rows,
            )
            for name, entry in known.datasets.items()
        }
        self.catalog = replace(known, datasets=datasets)

    def checked(self, number):
        script = tpch.script(number, self.owner, to="institute")
        script = re.sub(r"(mc2\.Job\([^)]*)\)", r'\1, mode="oblivious")', script, count=1)
        plan = compile_here(script, name="tpch.py", catalog=self.catalog, packages=PACKAGES)
        assert plan.mode == "oblivious"
        return check_plan(plan)

    def sources(self, tables=None):
        return {
            f"{self.owner}.{n}": padded(t, self.facts[n], rows_per_chunk=min(t.num_rows, 1 << 16))
            for n, t in (tables or self.tables).items()
        }


def mixed(table, seed):
    """The same values in each column, in another order."""
    random = np.random.default_rng(seed)
    columns = [c.take(random.permutation(table.num_rows)) for c in table.columns]
    return table.from_arrays(columns, schema=table.schema)
