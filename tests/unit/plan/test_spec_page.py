"""docs/spec/plan.md names every operation, function and aggregate as the code has it."""

import re
from pathlib import Path

from tools.vectors.plan import whole_plan

from mc2.plan.aggregates import AGGREGATES
from mc2.plan.functions import FUNCTIONS
from mc2.plan.oblivious import FUNCTIONS as OBLIVIOUS
from mc2.plan.plan import OPERATIONS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "spec" / "plan.md").read_text()
ROWS = {
    line.split("|")[1].strip().strip("`"): line
    for line in PAGE.splitlines()
    if line.startswith("| `")
}


def signatures(entry):
    return "; ".join(f"`{s.text.strip()}`" for s in entry.signatures)


def test_functions():
    for name, f in FUNCTIONS.items():
        cells = [c.strip() for c in ROWS[name].split("|")[2:6]]
        assert cells == [signatures(f), f.meaning, f.nulls.value, f.fails]


def test_aggregates():
    for name, f in AGGREGATES.items():
        cells = [c.strip() for c in ROWS[name].split("|")[2:4]]
        assert cells == [signatures(f), f.meaning]


def test_operations_and_their_fields():
    for node in whole_plan().nodes:
        row = ROWS[node.operation.OP]
        for field in node.operation.json():
            assert f"`{field}`" in row, (node.operation.OP, field)
    assert set(OPERATIONS) <= set(ROWS)


def test_fields_of_the_plan():
    for field in whole_plan().json():
        assert f"`{field}`" in PAGE


def test_functions_that_oblivious_mode_lacks():
    table = PAGE.split("| not in oblivious mode | functions |")[1].split("\n\n")[0]
    named = [n for line in table.splitlines()[2:] for n in re.findall(r"`(\w+)`", line)]
    assert sorted(named) == sorted(set(FUNCTIONS) - OBLIVIOUS)
