"""What the translation of one kind of relation needs of the whole translation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mc2.planner.connect.frame import Frame
from mc2.planner.connect.message import Message
from mc2.planner.connect.program import Program


class Translator(Protocol):
    """Turns relations into the steps of one program."""

    @property
    def program(self) -> Program:
        """The program that steps are added to."""
        ...

    def frame(self, relation: object) -> Frame:
        """The steps of a DataFrame. Raises: PlanError for what has none."""
        ...

    def input(self, message: Message) -> Frame:
        """The DataFrame that one is made from. Raises: PlanError."""
        ...


Translate = Callable[[Translator, Message], Frame]
"""One kind of relation."""
