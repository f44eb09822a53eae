import pytest

from mc2.errors import FormatError
from mc2.formats.facts import TableFacts
from mc2.formats.schema import Column, Schema, parse_type

SCHEMA = Schema(
    tuple(
        Column(n, parse_type(t))
        for n, t in {"id": "int64", "day": "date", "s": "string", "x": "double"}.items()
    )
)
FACTS = TableFacts(
    {"s": 4}, (("day", "id"), ("s",)), {"day": (0, 365), "id": (-1, 2**63 - 1)}, {"s": ("a", "b")},
    ("day", "id"),
)  # fmt: skip


def test_facts_survive_their_encoding():
    FACTS.check(SCHEMA)
    assert TableFacts.read(FACTS.json()) == FACTS
    assert TableFacts.read(TableFacts().json()) == TableFacts()


@pytest.mark.parametrize(
    "facts",
    [
        TableFacts(unique=((),)),
        TableFacts(unique=(("id", "day"),)),  # not in order
        TableFacts(unique=(("s",), ("day",))),
        TableFacts(unique=(("s",), ("s",))),
        TableFacts(unique=(("other",),)),
        TableFacts(ranges={"x": (0, 1)}),
        TableFacts(ranges={"other": (0, 1)}),
        TableFacts(ranges={"id": (1, 0)}),
        TableFacts(domains={"id": ("1",)}),
        TableFacts(domains={"s": ("b", "a")}),
        TableFacts(domains={"s": ()}),
        TableFacts(domains={"other": ("a",)}),
        TableFacts(ascending=("s",)),
        TableFacts(ascending=("x",)),
        TableFacts(ascending=("other",)),
        TableFacts(ascending=("id", "day")),  # not in order
    ],
)
def test_facts_are_of_the_columns(facts):
    with pytest.raises(FormatError):
        facts.check(SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"widths": {"s": -1}},
        {"widths": []},
        {"unique": [["s", 3]]},
        {"unique": [""]},
        {"ranges": {"id": ["0"]}},
        {"ranges": {"id": ["00", "1"]}},
        {"ranges": {"id": [0, 1]}},
        {"ranges": {"id": ["0", str(2**63)]}},
        {"domains": {"s": "ab"}},
        {"domains": {"s": ["x" * 1017]}},
        {"domains": {"s": [f"{i:03}" for i in range(257)]}},
        {"ascending": "id"},
        {"ascending": [""]},
        {"more": {}},
    ],
)
def test_facts_have_one_spelling(change):
    with pytest.raises(FormatError):
        TableFacts.read({**FACTS.json(), **change})
