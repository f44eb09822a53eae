"""The pieces that a plan is cut into while stages are found: operations, and exchanges between.

Pieces that read each other directly form a group, which will be a stage. A group is never merged
with another one where a third stands between, so groups never read each other in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mc2.plan.expressions import Expression
from mc2.plan.plan import Node
from mc2.plan.relations import Aggregate

ROOT: Final = 0
"""The piece that stands for the group with the outputs, which one task computes."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A relation in some group: its piece, and what is known of where its rows are.

    `split`: its rows are spread over the tasks of its group. `hashed`: lists of columns by any of
    which they are spread. `ordered`: they have an order, task after task.
    """

    piece: int
    split: bool
    ordered: bool
    hashed: frozenset[tuple[str, ...]] = frozenset()

    def group_is(self, other: int, pieces: Pieces) -> bool:
        """Whether it is in the group of another piece."""
        return pieces.group(self.piece) == pieces.group(other)


@dataclass(slots=True)
class Piece:
    """An operation over other pieces of its group, a read input, or what an exchange brings."""

    node: Node | None = None
    reads: tuple[int, ...] = ()
    dataset: bool = False
    split: bool = False
    origin: int | None = None
    kind: str = ""
    keys: tuple[Expression, ...] = ()
    partial: Aggregate | None = None
    ordered: bool = True


@dataclass(slots=True)
class Pieces:
    """All pieces, in an order in which each comes after those that it reads."""

    partitions: int
    items: list[Piece] = field(default_factory=lambda: [Piece()])
    _parents: list[int] = field(default_factory=lambda: [ROOT])
    _direct: dict[int, int] = field(default_factory=dict)

    def group(self, piece: int) -> int:
        """The first piece of a group stands for it."""
        while self._parents[piece] != piece:
            self._parents[piece] = self._parents[self._parents[piece]]
            piece = self._parents[piece]
        return piece

    def join_group(self, one: int, other: int) -> None:
        """Make two groups one."""
        first, second = sorted((self.group(one), self.group(other)))
        self._parents[second] = first

    def _add(self, piece: Piece) -> int:
        self.items.append(piece)
        self._parents.append(len(self.items) - 1)
        return len(self.items) - 1

    def dataset(self, node: Node, *, split: bool) -> int:
        """A scan of an input."""
        return self._add(Piece(node=node, dataset=True, split=split))

    def operation(self, node: Node, sources: Sequence[int]) -> int:
        """An operation whose sources are pieces, which become one group with it."""
        split = any(self.items[s].split for s in sources)
        place = self._add(Piece(node=node, reads=tuple(sources), split=split))
        for source in sources:
            self.join_group(place, source)
        return place

    def exchange(
        self,
        source: Placed,
        kind: str,
        *,
        keys: tuple[Expression, ...] = (),
        partial: Aggregate | None = None,
        split: bool | None = None,
    ) -> Placed:
        """The rows of a relation in a group of their own, until some operation reads them."""
        spread = kind in {"hash", "keep"} if split is None else split
        ordered = source.ordered and kind != "hash"
        place = self._add(
            Piece(
                origin=source.piece,
                kind=kind,
                keys=keys,
                partial=partial,
                ordered=ordered,
                split=spread,
            )
        )
        hashed = source.hashed if kind == "keep" else frozenset[tuple[str, ...]]()
        return Placed(place, split=spread, ordered=ordered, hashed=hashed)

    def into_root(self, source: Placed) -> int:
        """A relation as the last stage reads it."""
        if source.group_is(ROOT, self):
            return source.piece
        place = self.exchange(source, "gather").piece
        self.join_group(place, ROOT)
        return place

    def merge(self) -> None:
        """Join groups between which rows only pass from task to task of the same number."""
        changed = True
        while changed:
            changed = False
            for place, piece in enumerate(self.items):
                if piece.origin is None or place in self._direct or not self._passes(piece):
                    continue
                if not self._reads_around(self.group(place), self.group(piece.origin)):
                    self.join_group(place, piece.origin)
                    self._direct[place] = piece.origin
                    changed = True

    def _passes(self, piece: Piece) -> bool:
        origin = self.items[piece.origin or 0]
        if piece.partial is not None:
            return False
        if piece.kind == "keep":
            return origin.split == piece.split
        return piece.kind == "gather" and not origin.split and not piece.split

    def _reads_around(self, reader: int, read: int) -> bool:
        """Whether a group reads another one by way of a third, or all of it in every task."""
        if any(
            self.group(place) == reader and self.group(piece.origin) == read
            for place, piece in enumerate(self.items)
            if piece.origin is not None and place not in self._direct and not self._passes(piece)
        ):
            return True
        below = self._groups_read()
        waiting = [g for g in below.get(reader, ()) if g != read]
        seen = set(waiting)
        while waiting:
            group = waiting.pop()
            if group == read:
                return True
            fresh = below.get(group, set()) - seen
            seen |= fresh
            waiting += fresh
        return False

    def _groups_read(self) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        for place, piece in enumerate(self.items):
            if piece.origin is not None and place not in self._direct:
                here, there = self.group(place), self.group(piece.origin)
                if here != there:
                    found.setdefault(here, set()).add(there)
        return found

    def direct(self, place: int) -> int:
        """The piece that is really read: itself, or the origin of an exchange that is none."""
        while place in self._direct:
            place = self._direct[place]
        return place
