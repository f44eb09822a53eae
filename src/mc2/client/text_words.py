"""Names, numbers of steps and strangers' texts, as a review prints them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z")


def visible(text: str) -> str:
    r"""The text with every invisible or controlling character as its code: `\u202e`."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def name_words(name: str) -> str:
    """A column's name, in backquotes if it could be taken for something else."""
    return name if _PLAIN.match(name) else f"`{visible(name).replace('`', '``')}`"


def names(items: Sequence[str]) -> str:
    """A list of columns' names."""
    return ", ".join(name_words(i) for i in items)


def steps(sources: Sequence[int]) -> str:
    """Steps by their numbers."""
    listed = [str(s + 1) for s in sources]
    if len(listed) == 1:
        return f"step {listed[0]}"
    return f"steps {', '.join(listed[:-1])} and {listed[-1]}"
