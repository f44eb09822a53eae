"""In which columns the rows of joined leaves are unique, whatever the order of the joins.

Two rows of a join that agree in some columns agree in all that these decide, in any leaf, and in
what is equal to it. If that has a unique key of each leaf, they are of the same rows of all leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mc2.plan.facts import Facts


class Uniques:
    """What decides what in a region, columns that must be equal being one."""

    def __init__(self, leaves: Sequence[Facts], classes: Sequence[Sequence[str]]) -> None:
        self._bits = {name: 1 << i for i, names in enumerate(classes) for name in names}
        self._next = len(classes)
        self._decides = [
            [(self._mask(key), self._mask(others)) for key, others in sorted(_listed(facts))]
            for facts in leaves
        ]
        self._keys = [[self._mask(key) for key in facts.unique] for facts in leaves]
        self._known: dict[tuple[int, int], bool] = {}

    def is_unique(self, parts: int, names: Iterable[str]) -> bool:
        """Whether no two rows of these leaves, joined, agree in all of some columns."""
        wanted = parts, self._mask(names)
        if wanted not in self._known:
            self._known[wanted] = self._found(*wanted)
        return self._known[wanted]

    def _found(self, parts: int, agreed: int) -> bool:
        leaves = [i for i in range(len(self._keys)) if parts >> i & 1]
        decides = [pair for i in leaves for pair in self._decides[i]]
        before = -1
        while agreed != before:
            before = agreed
            for key, others in decides:
                if key & agreed == key:
                    agreed |= others
        return all(any(key & agreed == key for key in self._keys[i]) for i in leaves)

    def _mask(self, names: Iterable[str]) -> int:
        found = 0
        for name in names:
            if name not in self._bits:
                self._bits[name] = 1 << self._next
                self._next += 1
            found |= self._bits[name]
        return found


def _listed(facts: Facts) -> Iterable[tuple[list[str], list[str]]]:
    return ((sorted(key), sorted(others)) for key, others in facts.decides)
