"""Which columns of a relation decide which others: rows that agree in some agree in more.

A unique key decides its whole row, an equality of a join each side the other, and what is computed
is decided by what it is computed from. All of it follows from the plan and from declared facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

Decides = frozenset[tuple[frozenset[str], frozenset[str]]]
"""Pairs of sets of columns: the first decides the second."""

_TEXT_WORD: Final = 8


def closure(columns: frozenset[str], decides: Decides) -> frozenset[str]:
    """These columns and all that they decide, in any number of steps."""
    found = set(columns)
    left = list(decides)
    while True:
        rest = [(key, others) for key, others in left if not key <= found]
        if len(rest) == len(left):
            return frozenset(found)
        found.update(n for key, others in left if key <= found for n in others)
        left = rest


def restricted(decides: Decides, names: frozenset[str]) -> Decides:
    """What is still decided among some columns."""
    kept = ((key, (closure(key, decides) & names) - key) for key, _ in decides if key <= names)
    return frozenset((key, others) for key, others in kept if others)


def known_of(unique: Iterable[frozenset[str]], names: frozenset[str]) -> Decides:
    """What unique keys decide: all columns."""
    return frozenset((key, names - key) for key in unique if names - key)


def fewest(columns: Sequence[str], decides: Decides, widths: Mapping[str, int]) -> tuple[str, ...]:
    """Some of the columns that decide all of them, in their order.

    Texts are left out before others where there is a choice, wide ones first, then later columns.
    """
    kept = list(dict.fromkeys(columns))
    wanted = frozenset(kept)
    places = {name: place for place, name in enumerate(kept)}
    for name in sorted(kept, key=lambda n: (-(widths.get(n, 0) // _TEXT_WORD), -places[n])):
        rest = frozenset(kept) - {name}
        if rest and wanted <= closure(rest, decides):
            kept.remove(name)
    return tuple(kept)
