"""Edges of a feature that the enclave draws: quantiles of its values, with noise that hides rows.

Spec: docs/spec/plan.md, section "Noisy edges".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Final, Self

from mc2.errors import PlanError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields
from mc2.plan.literals import float_text, parse_float

MOST_CELLS: Final = 4096
_NUMBER: Final = 64
_LEAST_EPSILON: Final = 1e-4
_MOST_EPSILON: Final = 64.0


@dataclass(frozen=True, slots=True)
class NoisyEdges:
    """How edges of a feature are drawn: from counts of rows in cells of equal width, with noise.

    The cells lie from `low` to `high`; what is beyond counts in the outer ones. There are at most
    `edges` edges, which lie on lines between cells. One row more or less changes the probability
    of any outcome by a factor of at most e to the power of `epsilon`.
    """

    feature: str
    low: str
    high: str
    cells: int
    edges: int
    epsilon: str

    @property
    def lines(self) -> tuple[float, ...]:
        """The upper end of each cell, as a 32-bit float. Raises: PlanError if two are the same."""
        low, high = (_single(self.feature, parse_float(t)) for t in (self.low, self.high))
        width = Fraction(high) - Fraction(low)
        exact = (Fraction(low) + width * i / self.cells for i in range(self.cells + 1))
        found = tuple(_single(self.feature, float(line)) for line in exact)
        if any(not a < b for a, b in pairwise(found)):
            raise PlanError(
                f"the cells of {self.feature[:60]!r} do not rise as floats of 32 bits",
                hint="take low below high, and fewer cells",
            )
        return found[1:]

    def check(self) -> None:
        """Whether edges can be drawn so. Raises: PlanError."""
        numbers = [parse_float(t) for t in (self.low, self.high, self.epsilon)]
        if [float_text(n) for n in numbers] != [self.low, self.high, self.epsilon]:
            raise PlanError(f"the numbers of {self.feature[:60]!r} are not in their one spelling")
        if not _LEAST_EPSILON <= numbers[2] <= _MOST_EPSILON:
            raise PlanError(
                f"the epsilon of {self.feature[:60]!r} is not from {_LEAST_EPSILON} to "
                f"{_MOST_EPSILON:g}",
                hint="1 hides a row well, 0.1 better; all features of a matrix add up",
            )
        if not 0 < self.edges < self.cells <= MOST_CELLS:
            raise PlanError(
                f"{self.feature[:60]!r} has not fewer edges than cells, and at most {MOST_CELLS:,}"
                " cells"
            )
        _ = self.lines

    def json(self) -> Json:
        """The declaration as canonical JSON has it."""
        return {
            "low": self.low,
            "high": self.high,
            "cells": self.cells,
            "edges": self.edges,
            "epsilon": self.epsilon,
        }

    @classmethod
    def read(cls, feature: str, value: Json) -> Self:
        """Read that of one feature. Raises: FormatError."""
        fields = Fields(value, "the noisy edges of a feature")
        found = cls(
            feature,
            low=fields.text("low", _NUMBER),
            high=fields.text("high", _NUMBER),
            cells=fields.integer("cells", 2, MOST_CELLS),
            edges=fields.integer("edges", 1, MOST_CELLS - 1),
            epsilon=fields.text("epsilon", _NUMBER),
        )
        fields.done()
        return found


def _single(feature: str, number: float) -> float:
    """A number as a 32-bit float. Raises: PlanError if there is none for it."""
    try:
        (found,) = struct.unpack("<f", struct.pack("<f", number))
    except OverflowError:
        found = float("inf")
    if not abs(found) < float("inf"):
        raise PlanError(f"the range of {feature[:60]!r} is not of numbers of 32 bits")
    return float(found)
