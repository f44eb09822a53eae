"""What a review says of declared facts: each of them, in words."""

from mc2.client.fact_words import fact_words
from mc2.crypto.digest import digest
from mc2.formats.facts import TableFacts
from mc2.formats.schema import Column, Schema, parse_type
from mc2.plan.plan import PlanInput

TYPES = {"id": "int64", "day": "date", "ward": "string"}
SCHEMA = Schema(tuple(Column(n, parse_type(t)) for n, t in TYPES.items()))


def source(facts):
    facts.check(SCHEMA)
    return PlanInput(
        dataset="ada.visits",
        owner="ada",
        manifest=digest(b"visits"),
        schema=SCHEMA,
        row_bound=10,
        sizes="padded",
        facts=facts,
    )


def test_every_fact_is_said():
    facts = TableFacts(
        {"ward": 3},
        (("day", "id"),),
        {"day": (0, 31), "id": (-1, 5)},
        {"ward": ("A", "B\n")},
        ("day",),
    )
    said = fact_words(source(facts))
    assert len(said) == 5
    assert said[0] == "no two rows agree in day, id"
    assert said[1].endswith("is from 1970-01-01 to 1970-02-01")
    assert said[2].endswith("is from -1 to 5")
    assert "'A', 'B" in said[3]
    assert "\n" not in said[3]
    assert said[4] == "the rows come in order of day"


def test_nothing_is_said_of_no_facts():
    assert fact_words(source(TableFacts())) == ()
