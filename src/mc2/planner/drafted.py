"""What a script's objects stand for in its draft: the one way in for the package's own modules.

Scripts hold these objects too, but may write none of the names after a dot that begin with `_`
(`mc2.planner.language`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # `import mc2` stays light
    from mc2.planner.draft import Draft


class Planned(Protocol):
    """What is a node of a draft: a table, a matrix or a model."""

    @property
    def _node(self) -> int: ...


class Drafted(Planned, Protocol):
    """A node that knows its draft."""

    @property
    def _draft(self) -> Draft: ...


def draft_of(made: Drafted) -> Draft:
    """The draft of the script that made it."""
    return made._draft  # noqa: SLF001 - scripts may not write the name, this module may


def node_of(made: Planned) -> int:
    """Its node there. Raises: PlanError if it is a model that is not fitted yet."""
    return made._node  # noqa: SLF001 - scripts may not write the name, this module may
