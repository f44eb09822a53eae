"""TPC-H's queries in oblivious mode: the same table in one piece and in several tasks.

And what tasks hand on, and which kernels they call, does not depend on the data.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import pytest
from bench import tpch
from tests.support.oblivious import opened, padded, run_obliviously
from tests.support.oblivious_shop import Shop, mixed
from tests.support.oblivious_stages import ObliviousStages

from mc2.errors import EngineError
from mc2.plan import oblivious_order
from mc2.plan.oblivious_rewrites import as_run

_NINTH = 9  # reads partsupp, whose keys are unique from this scale on


@cache
def shop_for(number):
    return Shop(0.01 if number == _NINTH else 0.002)


def sources(shop, tables=None):
    """Tables of seven chunks, so that three tasks share them unevenly."""
    return {
        f"shop.{n}": padded(t, shop.facts[n], rows_per_chunk=-(-t.num_rows // 7))
        for n, t in (tables or shop.tables).items()
    }


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_tasks_give_what_one_gives(number):
    shop = shop_for(number)
    checked = shop.checked(number)
    whole, _ = run_obliviously(checked, sources(shop))
    cut = ObliviousStages(checked, sources(shop), 3, whole=400 if number % 2 else 0)
    assert len(cut.stages.stages) > 1
    found = {name: opened(output) for name, output in cut.run().items()}
    assert found == whole


@pytest.mark.parametrize("number", [5, 7, 8, 9, 21])
def test_tasks_give_the_same_with_joins_in_another_order(number, monkeypatch):
    monkeypatch.setattr(oblivious_order, "_LEAST", 0)
    shop = shop_for(number)
    checked = shop.checked(number)
    run = as_run(checked)
    assert run is not checked
    whole, _ = run_obliviously(checked, sources(shop))
    cut = ObliviousStages(run, sources(shop), 3, whole=0)
    assert {name: opened(output) for name, output in cut.run().items()} == whole


def seen_of(number: int, tasks: int, whole: int) -> list[list[object]]:
    """What a host sees of a query over two data sets of one shape."""
    shop = shop_for(number)
    checked = shop.checked(number)
    found = []
    for seed in (None, 1):
        tables = None if seed is None else {n: mixed(t, seed) for n, t in shop.tables.items()}
        run = ObliviousStages(checked, sources(shop, tables), tasks, whole=whole, record=True)
        with suppress(EngineError):  # keys are no longer unique: told at the end, nowhere else
            run.run()
        found.append(run.seen)
    return found


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_other_data_hand_on_blocks_of_the_same_sizes(number):
    whole = 0 if number % 2 else 400  # with none, large tables are sorted over the tasks
    found = seen_of(number, 3, whole)
    assert found[0]
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", tpch.QUERIES)
@pytest.mark.parametrize("tasks", [2, 5])
def test_more_tasks_give_what_one_gives_and_hand_on_the_same(number, tasks):
    """Two tasks sort nothing together; five deal rows out, as any number beyond four does."""
    shop = shop_for(number)
    checked = shop.checked(number)
    whole, _ = run_obliviously(checked, sources(shop))
    cut = ObliviousStages(checked, sources(shop), tasks)
    assert {name: opened(output) for name, output in cut.run().items()} == whole
    found = seen_of(number, tasks, 0)
    assert found[0] == found[1]


def test_queries_sort_over_their_tasks():
    """Else the comparisons above would say nothing of it."""
    found = set()
    for number in tpch.QUERIES:
        shop = shop_for(number)
        cut = ObliviousStages(shop.checked(number), sources(shop), 4)
        steps = [s for stage in cut.stages.stages for s in stage.steps if s.work == "finish"]
        found |= {cut.checked.plan.nodes[s.node].operation.OP for s in steps}
    assert {"aggregate", "join"} <= found, found
