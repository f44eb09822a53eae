"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as `progress(step, done, total)`; `total` is 0 where nobody knows it yet."""


def no_progress(_step: str, _done: int, _total: int) -> None:
    """Tell nobody."""
