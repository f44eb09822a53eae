import pyarrow as pa
import pytest
from tests.support.tables import seal

from mc2.client.facts import read_domains, read_keys, read_ranges
from mc2.errors import DatasetError, UsageError

TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3, None], pa.int64()),
        "day": pa.array([0, 1, 1, None], pa.int32()).cast(pa.date32()),
        "s": ["a", "b", None, "a"],
    }
)


def test_true_facts_stand_in_the_manifest():
    sealed, _ = seal(
        TABLE,
        unique=(("id",), ("s", "day")),
        ranges={"id": (1, 3), "day": (0, 1)},
        domains={"s": ("b", "a")},
    )
    facts = sealed.manifest.facts
    assert facts.ascending == ()
    assert facts.unique == (("day", "s"), ("id",))
    assert facts.domains == {"s": ("a", "b")}


@pytest.mark.parametrize(
    "facts",
    [
        {"unique": (("day",),)},
        {"unique": (("s",),)},
        {"ranges": {"id": (1, 2)}},
        {"ranges": {"id": (2, 3)}},
        {"ranges": {"day": (1, 1)}},
        {"domains": {"s": ("a",)}},
    ],
)
def test_false_facts_are_refused(facts):
    with pytest.raises(DatasetError, match="declared") as raised:
        seal(TABLE, rows_per_chunk=2, **facts)
    assert "3" not in str(raised.value)  # no value of the data


def test_an_order_is_held_over_chunks():
    table = pa.table(
        {"id": [1, 2, 2, 5], "day": pa.array([0, 1, 1, 3], pa.int32()).cast(pa.date32())}
    )
    sealed, _ = seal(table, rows_per_chunk=2, ascending=("id", "day"))
    assert sealed.manifest.facts.ascending == ("day", "id")


@pytest.mark.parametrize("values", [[1, 2, 1, 3], [2, 1, 3, 4], [1, 2, None, 3], [1, 2, 3, None]])
def test_rows_that_do_not_come_in_their_order_are_refused(values):
    table = pa.table({"id": pa.array(values, pa.int64())})
    with pytest.raises(DatasetError, match="ascending"):
        seal(table, rows_per_chunk=2, ascending=("id",))


def test_null_is_equal_to_null_in_a_key():
    with pytest.raises(DatasetError, match="unique"):
        seal(pa.table({"id": pa.array([1, None, None], pa.int64())}), unique=(("id",),))


def test_facts_of_no_column_are_refused():
    with pytest.raises(UsageError):
        seal(TABLE, unique=(("other",),))


def test_facts_are_read_as_people_write_them():
    assert read_keys(("a", "b, c")) == (("a",), ("b", "c"))
    assert read_domains(("w=A,B",)) == {"w": ("A", "B")}
    assert read_ranges(("age=0..130", "day=1970-01-02..1970-02-01")) == {
        "age": (0, 130),
        "day": (1, 31),
    }


@pytest.mark.parametrize("text", ["age", "age=", "age=1", "=1..2", "age=a..b", "age=1.."])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="no range"):
        read_ranges((text,))


@pytest.mark.parametrize("text", ["w", "w=", "=a"])
def test_what_is_no_domain_is_refused(text):
    with pytest.raises(UsageError, match="no domain"):
        read_domains((text,))
