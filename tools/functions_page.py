"""Writes docs/reference/functions.md from the tables of functions; `--check` compares instead."""

from __future__ import annotations

import sys
from pathlib import Path

from mc2.plan.aggregates import AGGREGATES as PLAN_AGGREGATES
from mc2.plan.functions import FUNCTIONS
from mc2.plan.oblivious import AGGREGATES as OBLIVIOUS_AGGREGATES
from mc2.plan.oblivious import FUNCTIONS as OBLIVIOUS_FUNCTIONS
from mc2.planner.aggregate_calls import AGGREGATES
from mc2.planner.calls import REFUSED
from mc2.planner.calls_choice import CHOICE
from mc2.planner.calls_lists import LISTS
from mc2.planner.calls_moments import MOMENTS
from mc2.planner.calls_numbers import NUMBERS
from mc2.planner.calls_texts import TEXTS
from mc2.planner.higher_order import HIGHER

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "functions.md"
FAMILIES = {
    "Choice, NULL, and types": CHOICE,
    "Numbers": NUMBERS,
    "Text and bytes": TEXTS,
    "Dates and times": MOMENTS,
    "Arrays and structs": LISTS,
}
HEAD = """# Functions of queries

<!-- Written by tools/functions_page.py. -->

These are all functions that a query may call, by Spark's names. They mean what Spark 4 means in
ANSI mode: `tests/golden/spark` holds expressions with the types and values that Spark gave, and
every one is compared. What differs is listed in the
[specification of plans](../spec/plan.md#differences-from-spark-sql-ansi-mode).
Arguments are written in brackets: how many, or from how many to how many.

Beside them: operators (`+ - * / % div & | ^ ~ || = <=> <> < <= > >=`), `AND`, `OR`, `NOT`, `IS`,
`BETWEEN`, `IN`, `CASE`, `CAST` and `TRY_CAST`, `LIKE` and `ILIKE` (also with `ESCAPE`, `ANY`,
`ALL`), `RLIKE`, `EXTRACT(part FROM x)`, `TRIM(LEADING x FROM y)`, `POSITION(x IN y)`, `array[0]`,
`struct.field`, `INTERVAL '1' DAY`,
`TIMESTAMPADD(unit, n, t)`, `TIMESTAMPDIFF(unit, a, b)`, `MAKE_YM_INTERVAL`, `MAKE_DT_INTERVAL`.
"""


LAMBDAS = """The last arguments are lambdas over the elements of arrays: `x -> x + 1`, or
`(x, y) -> x + y`. They may read columns, and the parameters of lambdas around them. `transform`
and `filter` also give the element's place, from 0.
"""
NOT_OBLIVIOUS = """## Not in oblivious mode

All others are there, some for constants or for certain types only: the
[specification of plans](../spec/plan.md#oblivious-mode) says which. By the names that plans have:
{}

Aggregates: {}
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, rules in FAMILIES.items():
        calls = [
            f"`{name}` ({_count(rule.least, rule.most)})" for name, rule in sorted(rules.items())
        ]
        parts.append(f"## {title}\n\n{_filled(calls)}\n")
    parts.append(f"## Functions with lambdas\n\n{LAMBDAS}\n{_filled(_higher())}\n")
    parts.append(f"## Aggregates\n\n{_filled([f'`{name}`' for name in sorted(AGGREGATES)])}\n")
    parts.append(_refused_obliviously())
    refused = "\n".join(f"| `{name}` | {why} |" for name, why in sorted(REFUSED.items()))
    parts.append(f"## Refused\n\n| function | because |\n| --- | --- |\n{refused}\n")
    return "\n".join(parts)


def _higher() -> list[str]:
    return [f"`{name}` ({_count(*rule[:2])})" for name, rule in sorted(HIGHER.items())]


def _refused_obliviously() -> str:
    """What plans have and oblivious mode has not."""
    functions = sorted(set(FUNCTIONS) - OBLIVIOUS_FUNCTIONS)
    aggregates = sorted(set(PLAN_AGGREGATES) - OBLIVIOUS_AGGREGATES)
    nothing = "none"
    return NOT_OBLIVIOUS.format(
        _filled([f"`{name}`" for name in functions]) or nothing,
        _filled([f"`{name}`" for name in aggregates]) or nothing,
    )


def _count(least: int, most: int) -> str:
    if least == most:
        return str(least)
    return f"{least} or more" if most >= 1000 else f"{least} to {most}"


def _filled(items: list[str]) -> str:
    lines, line = [], ""
    for item in items:
        if line and len(line) + len(item) + 2 > 108:
            lines.append(line + ",")
            line = item
        else:
            line = f"{line}, {item}" if line else item
    return "\n".join([*lines, line])


def main() -> None:
    """Write the page, or compare it."""
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text() != page():
            sys.exit("docs/reference/functions.md is old: run python tools/functions_page.py")
        return
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
