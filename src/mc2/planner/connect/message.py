"""Reads messages of Spark Connect, as the JSON form of protobuf gives them, strictly.

What a message holds and nobody asked for is refused by name: a part that is not understood must
not be left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mc2.errors import PlanError

Json = Mapping[str, Any]


class Message:
    """One message. Each field is taken once; `done` refuses the rest."""

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise PlanError(f"{what} is missing in what the client sent")
        self.what = what
        self._rest: dict[str, Any] = dict(value)

    def take(self, name: str, default: Any = None) -> Any:
        """A field, or the default where the client left it out."""
        return self._rest.pop(name, default)

    def text(self, name: str, default: str = "") -> str:
        """A text. Raises: PlanError."""
        value = self.take(name, default)
        if not isinstance(value, str):
            raise PlanError(f"{name} of {self.what} is no text")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A yes or no. Raises: PlanError."""
        value = self.take(name, default)
        if not isinstance(value, bool):
            raise PlanError(f"{name} of {self.what} is no boolean")
        return value

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number; JSON writes those of 64 bits as text. Raises: PlanError."""
        value = self.take(name, default)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise PlanError(f"{name} of {self.what} is no whole number") from None

    def items(self, name: str) -> Sequence[Any]:
        """A list, empty where the client left it out. Raises: PlanError."""
        value = self.take(name, ())
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise PlanError(f"{name} of {self.what} is no list")
        return value

    def one(self) -> tuple[str, Any]:
        """The one field that is there, of a message that is one of several things.

        Raises: PlanError if it is none or several.
        """
        if len(self._rest) != 1:
            there = ", ".join(sorted(self._rest)) or "nothing"
            raise PlanError(f"{self.what} is one thing, and here is {there}")
        return self._rest.popitem()

    def done(self) -> None:
        """Refuse what nobody took. Raises: PlanError naming it."""
        rest = sorted(
            name for name, value in self._rest.items() if value not in (False, "", [], {})
        )
        if rest:
            raise unsupported(f"{self.what} with {', '.join(rest)}")


def unsupported(what: str, hint: str = "") -> PlanError:
    """The error for what Spark can do and a sealed table cannot."""
    return PlanError(
        f"{what} is not supported over sealed tables",
        hint=hint or "docs/howto/pyspark.md lists all",
    )


def entries(value: object, what: str) -> Iterator[tuple[str, Any]]:
    """The entries of a map. Raises: PlanError."""
    if not isinstance(value, Mapping):
        raise PlanError(f"{what} is no map")
    yield from value.items()
