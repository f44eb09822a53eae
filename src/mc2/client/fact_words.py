"""Says in plain words what an owner declared of a table for everybody to know."""

from __future__ import annotations

from datetime import date, timedelta

from mc2.client.text_words import name_words, names, visible
from mc2.plan.plan import PlanInput


def fact_words(source: PlanInput) -> tuple[str, ...]:
    """A few words for each fact but widths, which the size of the table tells of anyway."""
    facts, columns = source.facts, source.schema.by_name()
    found = [f"no two rows agree in {names(key)}" for key in facts.unique]
    for name, (low, high) in sorted(facts.ranges.items()):
        ends = f"{low} to {high}"
        if columns[name].type.name == "date":
            ends = f"{_day(low)} to {_day(high)}"
        found.append(f"{name_words(name)} is from {ends}")
    for name, values in sorted(facts.domains.items()):
        listed = ", ".join(f"'{visible(v)}'" for v in values)
        found.append(f"{name_words(name)} is one of {listed}")
    found += [f"the rows come in order of {name_words(name)}" for name in facts.ascending]
    return tuple(found)


def _day(number: int) -> str:
    try:
        return str(date(1970, 1, 1) + timedelta(days=number))
    except OverflowError:
        return f"day {number} since 1970-01-01"
