"""Samples: the same rows for the same seed, about as many as were asked for, and each row once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.support.connect import EngineRunner, spark_session
from tests.support.dataframes import PEOPLE

from mc2.planner.connect.sampling import PRIME, drawn

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore:WARN WindowExpression:UserWarning"
)

_ROWS = 900
_MANY = pa.table({"n": range(_ROWS), "half": [i % 2 for i in range(_ROWS)]})


@pytest.fixture(scope="module")
def spark():
    with spark_session(EngineRunner({"ada.people": PEOPLE, "bo.many": _MANY})) as found:
        yield found


def ids(frame, name="id"):
    return sorted(frame.select(name).toArrow()[name].to_pylist())


@pytest.mark.parametrize("seed", [0, 7, -3, 2**62])
def test_a_sample_is_of_the_rows_whose_numbers_are_below_the_fraction(spark, seed):
    people = spark.read.table("ada.people")
    expected = [i for i in range(1, 8) if drawn(i, seed) < round(0.5 * PRIME)]
    assert ids(people.sample(0.5, seed)) == expected
    assert people.sample(0.5, seed).columns == PEOPLE.column_names


def test_the_order_and_the_names_of_rows_before_change_nothing(spark):
    many = spark.read.table("bo.many")
    assert ids(many.orderBy(many.n.desc()).sample(0.3, 5), "n") == ids(many.sample(0.3, 5), "n")


def test_all_and_none_are_samples(spark):
    people = spark.read.table("ada.people")
    assert ids(people.sample(1.0, 1)) == list(range(1, 8))
    assert ids(people.sample(0.0, 1)) == []


def test_parts_of_a_random_split_are_the_whole_and_have_their_sizes(spark):
    many = spark.read.table("bo.many")
    parts = [ids(p, "n") for p in many.randomSplit([3.0, 1.0], seed=11)]
    assert sorted(parts[0] + parts[1]) == list(range(_ROWS))
    assert 600 < len(parts[0]) < 750  # 675 expected; 13 is the standard deviation


def test_strata_have_fractions_of_their_own(spark):
    many = spark.read.table("bo.many")
    found = ids(many.sampleBy("half", {0: 0.1, 1: 0.5}, seed=3), "n")
    even, odd = ([n for n in found if n % 2 == side] for side in (0, 1))
    assert 15 < len(even) < 75
    assert 175 < len(odd) < 275
    assert ids(many.sampleBy("half", {0: 1.0}, seed=3), "n") == list(range(0, _ROWS, 2))


def test_numbers_are_spread_evenly_and_differ_by_seed():
    for seed in range(20):
        found = [drawn(i, seed) for i in range(_ROWS)]
        assert len(set(found)) == _ROWS
        tenths = [0] * 10
        for number in found:
            tenths[10 * number // PRIME] += 1
        assert all(50 < t < 130 for t in tenths)
    assert drawn(1, 1) != drawn(1, 2)
