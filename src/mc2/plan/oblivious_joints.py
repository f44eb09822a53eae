"""What connects the parts of a region: which columns are equal, and when each condition is tested.

Sets of parts are whole numbers with a bit for each leaf, and behind them one for each test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from mc2.formats.schema import Column
from mc2.plan.expressions import Call, ColumnRef, Expression, columns_of
from mc2.plan.oblivious_regions import Region

_REAL: Final = frozenset({"double", "float"})


class Joints:
    """The conditions of a region, over the columns of its leaves.

    Columns that must be equal are of one class, and any two of a class may be joined by: each set
    of parts has one of them stand for all that it has. Not so real numbers, which are spelled in
    several ways.
    """

    def __init__(
        self,
        region: Region,
        leaves: Sequence[Mapping[str, Column]],
        bits: Mapping[str, int],
        shown: frozenset[str],
    ) -> None:
        """Take conditions apart; `shown` are the columns that are read of all together."""
        self._leaf_of = {name: i for i, own in enumerate(leaves) for name in own}
        self._count = len(leaves)
        columns = {name: column for own in leaves for name, column in own.items()}
        equal, self._others = [], list[tuple[int, Expression]]()
        self._filters: list[list[Expression]] = [[] for _ in leaves]
        for condition in region.conditions:
            pair = _equal_columns(condition, columns)
            reads = self.parts_read(columns_of(condition))
            if reads.bit_count() == 1:
                self._filters[reads.bit_length() - 1].append(condition)
            elif pair is not None:
                equal.append(pair)
            else:
                self._others.append((reads, condition))
        asked = [(1 << (self._count + i), t.reads) for i, t in enumerate(region.tests)]
        self._readers = [(reads, columns_of(one)) for reads, one in self._others] + asked
        carried = shown.union(*(names for _, names in self._readers))

        def first(name: str) -> tuple[bool, int, int, str]:
            return name not in carried, bits[name], self._leaf_of[name], name

        self._shown = shown
        self.classes = [sorted(one, key=first) for one in _classes(equal)]
        self.class_of = {name: i for i, names in enumerate(self.classes) for name in names}
        self._where = [self.parts_read(names) for names in self.classes]
        for names in self.classes:
            self._close(names)

    def _close(self, names: Sequence[str]) -> None:
        """Let columns of one leaf be equal there: only one of them is joined by."""
        seen: dict[int, str] = {}
        for name in names:
            leaf = self._leaf_of[name]
            if leaf in seen:
                self._filters[leaf].append(equality(seen[leaf], name))
            seen.setdefault(leaf, name)

    def parts_read(self, names: Iterable[str]) -> int:
        """The leaves that have some columns."""
        found = 0
        for name in names:
            found |= 1 << self._leaf_of[name]
        return found

    def filters(self, leaf: int) -> list[Expression]:
        """The conditions on the rows of one leaf."""
        return self._filters[leaf]

    def _stands_for(self, number: int, parts: int) -> str:
        """The column of a class that stands for it in a set of parts, which has some."""
        return next(n for n in self.classes[number] if parts >> self._leaf_of[n] & 1)

    def keys(self, left: int, right: int) -> list[tuple[int, str, str]]:
        """The columns that two sets of parts are joined by: of each class that both have."""
        return [
            (number, self._stands_for(number, left), self._stands_for(number, right))
            for number, where in enumerate(self._where)
            if where & left and where & right
        ]

    def names(self, parts: int) -> list[str]:
        """All columns of a set of parts."""
        return [n for n, leaf in self._leaf_of.items() if parts >> leaf & 1]

    def others(self, left: int, right: int) -> list[Expression]:
        """The other conditions that can be tested where two sets of parts meet, not before."""
        both = left | right
        return [
            one
            for reads, one in self._others
            if reads & both == reads and reads & left != reads and reads & right != reads
        ]

    def carried(self, parts: int) -> list[str]:
        """The columns that later steps read of a set of parts."""
        wanted = set(self._shown)
        for reads, read in self._readers:
            if reads & parts != reads:
                wanted |= read
        for number, where in enumerate(self._where):
            if where & parts and where & ~parts:
                wanted.add(self._stands_for(number, parts))
        return sorted(n for n in wanted if parts >> self._leaf_of[n] & 1)


def equality(left: str, right: str) -> Expression:
    """The condition that two columns are equal, and no NULL."""
    return Call("eq", (ColumnRef(left), ColumnRef(right)))


def _equal_columns(condition: Expression, columns: Mapping[str, Column]) -> tuple[str, str] | None:
    """The two columns that a condition says to be equal, if that is all it says."""
    match condition:
        case Call("eq", (ColumnRef(a), ColumnRef(b))):
            same = columns[a].type == columns[b].type and columns[a].type.name not in _REAL
            return (a, b) if same else None
        case _:
            return None


def _classes(pairs: Sequence[tuple[str, str]]) -> list[set[str]]:
    """Columns that are equal to one another, in the order of their first pairs."""
    found: list[set[str]] = []
    for pair in pairs:
        touched = [one for one in found if one & set(pair)]
        merged = set(pair).union(*touched)
        if touched:
            found[found.index(touched[0])] = merged
            found = [one for one in found if one not in touched[1:]]
        else:
            found.append(merged)
    return found
