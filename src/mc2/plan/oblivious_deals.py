"""Which places of its sorted rows each task hands to which: so that all rows come in order.

Between few tasks, two and two compare all that they have, in the rounds of Batcher's network.
Between more, rows go round as in T. Leighton, "Tight bounds on the complexity of parallel sorting"
(1985): dealt out one by one, then run by run, and at last what is at the edges meets; three rounds
for any number of tasks, if each has at least twice the square of it. Nothing depends on a row.
Spec: docs/spec/task.md, section "Sorting over several tasks".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mc2.formats.canonical import Json

FEW: Final = 4
"""Tasks up to which pairs compare: between them that takes no more rounds than three."""

NOTHING: Final = slice(0, 0)


@dataclass(frozen=True, slots=True)
class Deal:
    """One round, after which each task has `places` places in order.

    `pairs`: tasks of a pair get all of each other's. `transpose`: one place after the other to each
    task in turn. `untranspose`: runs of equal length. `halves`: the lower half to the task before,
    the upper one to the one after. `edges`: to the task before as many first places as could belong
    to what starts there, to the one after the last place. `around`: the first `reach` places to the
    task before, the last ones to the one after. `whole`: all in one part. In `pairs`, `halves`,
    `edges` and `around` each task also gets all that it has itself. `copies`: in how many places at
    most one task's own rows had one key, before all were sorted.
    """

    way: str
    places: int
    round: int = 0
    copies: int = 1
    reach: int = 0

    def json(self) -> Json:
        """The deal as canonical JSON has it."""
        return {
            "way": self.way,
            "places": self.places,
            "round": self.round,
            "copies": self.copies,
            "reach": self.reach,
        }

    def parts(self, tasks: int, writer: int) -> tuple[slice, ...]:
        """The places that a task hands to each reader, or to all of them in one part."""
        if self.way == "whole":
            return (slice(0, self.places),)
        return tuple(self._part(tasks, writer, reader) for reader in range(tasks))

    def _part(self, tasks: int, writer: int, reader: int) -> slice:
        every = slice(0, self.places)
        match self.way:
            case "transpose":
                return slice(reader, self.places, tasks)
            case "untranspose":
                run = self.places // tasks
                return slice(reader * run, (reader + 1) * run)
            case _ if writer == reader:
                return every
            case "pairs":
                return every if partner(tasks, self.round, writer) == reader else NOTHING
            case _:
                first, last = self._to_neighbours(tasks)
                before, after = slice(0, first), slice(self.places - last, self.places)
                return {writer - 1: before, writer + 1: after}.get(reader, NOTHING)

    def _to_neighbours(self, tasks: int) -> tuple[int, int]:
        """How many first places go to the task before, and how many last ones to the one after."""
        if self.way == "halves":
            return self.places // 2, self.places - self.places // 2
        return (self.reach, self.reach) if self.way == "around" else (tasks * self.copies - 1, 1)


def network(tasks: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The rounds of Batcher's network: in each, which tasks compare, the lower one first."""
    rounds: list[tuple[tuple[int, int], ...]] = []
    run = 1
    while run < tasks:
        apart = run
        while apart:
            rounds.append(
                tuple(
                    (low, low + apart)
                    for start in range(apart % run, tasks - apart, 2 * apart)
                    for low in range(start, min(start + apart, tasks - apart))
                    if low // (2 * run) == (low + apart) // (2 * run)
                )
            )
            apart //= 2
        run *= 2
    return tuple(rounds)


def partner(tasks: int, number: int, task: int) -> int | None:
    """Whom a task compares with in a round; None for nobody."""
    for low, high in network(tasks)[number]:
        if task in {low, high}:
            return low + high - task
    return None


def places_for(tasks: int, room: int, copies: int = 1) -> int:
    """How many places each task sorts, if it has so many rows at most; `copies` as deals have it.

    So many that the rows of one key stand in two tasks next to each other.
    """
    least = max(room, tasks * copies, 2)
    if tasks <= FEW:
        return least
    step = 2 * tasks  # halves are whole, and every task gets as many as any other
    return -(-max(least, 2 * (tasks - 1) ** 2) // step) * step


def deals_for(tasks: int, places: int) -> Sequence[Deal]:
    """The rounds after which so many places of each task are in order over all tasks."""
    if tasks <= FEW:
        return [Deal("pairs", places, number) for number in range(len(network(tasks)))]
    return [Deal(way, places) for way in ("transpose", "untranspose", "halves")]
