"""Curves and angles: functions of doubles that fixed-point arithmetic computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.engine.oblivious.calls import OfValues
from mc2.operators import buckets, curves, numbers


def _curve(name: str) -> OfValues:
    return lambda of, v, _: curves.curve(of.run, name, v[0])


def _angle(name: str) -> OfValues:
    return lambda of, v, _: curves.angle(of.run, name, v[0])


def _of_two(name: str) -> OfValues:
    return lambda of, v, _: curves.curve_of_two(of.run, name, v[0], v[1])


OF_CURVES: Final[Mapping[str, OfValues]] = {
    **{name: _curve(name) for name in curves.CURVES},
    **{name: _angle(name) for name in curves.ANGLES},
    **{name: _of_two(name) for name in curves.OF_TWO},
    "atan2": lambda of, v, _: curves.angle_of_point(of.run, v[0], v[1]),
    "factorial": lambda of, v, _: numbers.factorial(of.run, v[0]),
    "width_bucket": lambda of, v, _: buckets.width_bucket(
        of.run, v[0], v[1], v[2], v[3], of.counts
    ),
}
"""By name."""
