"""Rounds that bring all rows in order: for every number of tasks, whatever the rows are."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from mc2.plan.oblivious_deals import FEW, Deal, deals_for, network, partner, places_for


@pytest.mark.parametrize("tasks", range(1, 10))
def test_the_network_sorts(tasks):
    """By the 0-1 principle, which holds for blocks that are merged and split as for single rows."""
    for rows in product((0, 1), repeat=tasks):
        found = list(rows)
        for pairs in network(tasks):
            for low, high in pairs:
                found[low], found[high] = sorted((found[low], found[high]))
        assert found == sorted(rows)


def sorted_by_rounds(blocks: list[list[int]]) -> list[list[int]]:
    """What tasks have after all rounds, by the rules of docs/spec/task.md written once more."""
    tasks, places = len(blocks), len(blocks[0])
    blocks = [sorted(b) for b in blocks]
    for deal in deals_for(tasks, places):
        got = [[blocks[w][deal.parts(tasks, w)[r]] for w in range(tasks)] for r in range(tasks)]
        blocks = [after(deal, task, got[task]) for task in range(tasks)]
    return blocks


def after(deal: Deal, task: int, got: list[list[int]]) -> list[int]:
    every = sorted(row for part in got for row in part)
    if deal.way == "pairs":
        other = partner(len(got), deal.round, task)
        return every[deal.places :] if other is not None and other < task else every[: deal.places]
    if deal.way != "halves":
        return every
    half = deal.places // 2
    before = got[task - 1] if task else []
    behind = got[task + 1] if task < len(got) - 1 else []
    lower = sorted(before + got[task][:half])[-half:]
    return lower + sorted(got[task][half:] + behind)[:half]


@pytest.mark.parametrize("tasks", range(2, 12))
@pytest.mark.parametrize("kind", ["any", "few", "ones", "turned"])
def test_rounds_bring_rows_in_order(tasks, kind):
    places = places_for(tasks, 0)  # as few as there may be
    random = Random(tasks)
    for _ in range(20):
        rows = {
            "any": [random.randrange(10**6) for _ in range(tasks * places)],
            "few": [random.randrange(3) for _ in range(tasks * places)],
            "ones": [int(i >= random.randrange(tasks * places)) for i in range(tasks * places)],
            "turned": list(range(tasks * places, 0, -1)),
        }[kind]
        random.shuffle(rows) if kind == "ones" else None
        blocks = [rows[i * places : (i + 1) * places] for i in range(tasks)]
        assert [r for b in sorted_by_rounds(blocks) for r in b] == sorted(rows)


def test_zeros_and_ones_at_every_border_come_in_order():
    """Column sort, by the 0-1 principle: for every count of ones, over some placings."""
    tasks = FEW + 1
    places = places_for(tasks, 0)
    random = Random(5)
    for ones in range(tasks * places + 1):
        rows = [1] * ones + [0] * (tasks * places - ones)
        random.shuffle(rows)
        blocks = [rows[i * places : (i + 1) * places] for i in range(tasks)]
        assert [r for b in sorted_by_rounds(blocks) for r in b] == sorted(rows)


@pytest.mark.parametrize("tasks", range(FEW + 1, 70, 7))
def test_column_sort_has_the_places_that_it_needs(tasks):
    for room in (0, 1, 10**4, 10**5 + 1):
        places = places_for(tasks, room)
        assert places >= max(room, 2 * (tasks - 1) ** 2)
        assert places % (2 * tasks) == 0


@pytest.mark.parametrize("tasks", [5, 8, 16])
def test_every_row_goes_to_one_place(tasks):
    """What is dealt out and not kept beside is dealt out once."""
    places = places_for(tasks, 100)
    for way in ("transpose", "untranspose"):
        for writer in range(tasks):
            parts = Deal(way, places).parts(tasks, writer)
            assert sorted(i for p in parts for i in range(places)[p]) == list(range(places))
            assert len({len(range(places)[p]) for p in parts}) == 1


def test_edges_reach_as_far_as_a_group_of_one_row_a_task():
    parts = Deal("edges", 10).parts(4, 2)
    assert [len(range(10)[p]) for p in parts] == [0, 3, 10, 1]
    assert Deal("edges", 10).parts(4, 0)[1] == slice(9, 10)
    assert Deal("whole", 10).parts(4, 2) == (slice(0, 10),)
