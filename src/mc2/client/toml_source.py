"""TOML that people write and sign the meaning of: where things stand, and what values become."""

from __future__ import annotations

import re
import tomllib
from datetime import datetime
from typing import Any, Final

from mc2.errors import FormatError
from mc2.formats.canonical import Json
from mc2.formats.fields import to_time

_HEADER: Final = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_KEY: Final = re.compile(r"\s*([^#=]+?)\s*=")
_QUOTED: Final = re.compile(r"'([^']+)'")

Path = tuple[str, ...]


class TomlSource:
    """Where things stand in the text. tomllib does not say, so lines are looked up again.

    `file` is how errors call the text.
    """

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._lines: dict[Path, int] = {}
        section: Path = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _HEADER.match(line):
                section = _split(header[1])
                self._lines.setdefault(section, number)
            elif key := _KEY.match(line):
                self._lines.setdefault((*section, *_split(key[1])), number)

    def line(self, path: Path) -> int:
        """The line (from 1) of a place, or of the section that it should stand in; 0 for none."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 0)

    def error(self, message: str, path: Path, hint: str = "") -> FormatError:
        """An error at a place, or at the section that it should stand in."""
        line = self.line(path)
        where = f", line {line}" if line else ""
        return FormatError(f"{self._file}{where}: {message}", hint=hint)

    def guess(self, message: str) -> Path:
        """The place that a message is about, by the names that it quotes."""
        quoted = set(_QUOTED.findall(message))
        found = [path for path in self._lines if path and path[-1] in quoted]
        return max(found, key=lambda path: len(quoted & set(path)), default=())


def _split(dotted: str) -> Path:
    """The parts of a TOML key, `attestation."sev-snp"`; nothing if it is none."""
    try:
        value: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts = []
    while isinstance(value, dict):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)


def plain(value: object, path: Path, source: TomlSource) -> Json:
    """A TOML value as canonical JSON has it; lists of texts are sets, so they are put in order.

    Raises: FormatError for what canonical JSON cannot hold, such as a number with a fraction.
    """
    if isinstance(value, dict):
        return {name: plain(item, (*path, name), source) for name, item in value.items()}
    if isinstance(value, list):
        items = [plain(item, path, source) for item in value]
        texts = [item for item in items if isinstance(item, str)]
        return sorted(texts) if len(texts) == len(items) else items
    if isinstance(value, datetime) and value.tzinfo is not None:
        return to_time(value)
    if isinstance(value, bool | int | str):
        return value
    raise source.error(
        f"{path[-1]!r} is a {type(value).__name__}, which no contract can hold",
        path,
        hint="use whole numbers, texts, true, false, lists and sections",
    )
