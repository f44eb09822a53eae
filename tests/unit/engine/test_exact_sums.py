"""Sums over arrays against `math.fsum`, to the last bit."""

from __future__ import annotations

import math
import struct
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mc2.engine.exact_sums import parts, sums

_ANY = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
_NEAR = st.integers(-1000, 1000).map(lambda n: n * 0.1)
_LISTS = st.lists(st.lists(st.one_of(_ANY, _NEAR), max_size=8), max_size=12)


def _bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(groups=_LISTS)
def test_groups_have_the_bits_of_fsum(groups):
    values = np.array([v for g in groups for v in g], np.float64)
    bounds = [0, *np.cumsum([len(g) for g in groups], dtype=int).tolist()]
    found = sums(values, bounds)
    assert [_bits(f) for f in found] == [_bits(math.fsum(g)) for g in groups]


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 3000),
    spread=st.sampled_from([0, 1, 30, 120, 280]),
)
def test_parts_have_the_exact_sum(seed, count, spread):
    draw = np.random.default_rng(seed)
    values = draw.normal(size=count) * 10.0 ** draw.integers(-spread, spread + 1, count)
    values = np.concatenate([values, -values[: count // 2]])
    assert _bits(math.fsum(parts(values))) == _bits(math.fsum(values.tolist()))
    bounds = sorted({0, *draw.integers(0, len(values) + 1, 40).tolist(), len(values)})
    expected = [math.fsum(values[a:b].tolist()) for a, b in pairwise(bounds)]
    assert sums(values, bounds).tolist() == expected


def test_parts_of_many_values_are_few():
    values = np.random.default_rng(7).normal(size=200_000)
    found = list(parts(values))
    assert len(found) <= 16
    assert math.fsum(found) == math.fsum(values.tolist())


def test_numbers_at_the_ends_of_doubles_are_left_whole():
    for odd in (5e-324, 1e-300, 1.7e308):
        values = np.array([*[odd, -odd] * 60, odd])
        assert list(parts(values)) == values.tolist()
        assert sums(values, [0, 3, 3, 121]).tolist() == [odd, 0.0, 0.0]


def test_what_is_not_finite_stays_among_the_parts():
    values = np.array([1.0, math.inf] * 60)
    assert math.inf in list(parts(values))
    assert any(math.isnan(p) for p in parts(np.array([math.nan] * 99)))
