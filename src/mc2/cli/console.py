"""How commands speak: data on standard output, everything else on standard error.

With `--json` standard output holds exactly one JSON value, and an error is a JSON object on
standard error. Progress is drawn only on a terminal; elsewhere each step is one plain line.

Much of what is shown was written by other members or by the coordinator: notes, scripts, reasons,
statuses. Nothing of it may move the cursor, hide text or reverse it: a person who reads a review
must see what is there. So all output passes through `shown`, and no command writes by itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from mc2.errors import AppraisalError, Mc2Error

if TYPE_CHECKING:
    from rich.console import Console as RichConsole

SIMULATION_BANNER = (
    "SIMULATED ENCLAVES: no hardware protects these data. For demonstrations and tests only."
)


@dataclass
class Console:
    """The output side of one command."""

    as_json: bool = False
    quiet: bool = False
    started: float = field(default_factory=time.monotonic)

    def data(self, value: object, text: str | None = None) -> None:
        """Print the command's result: JSON with `--json`, else the text for people."""
        if self.as_json:
            _write(sys.stdout, json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
        elif text is not None:
            _write(sys.stdout, text.rstrip("\n") + "\n")
        else:
            _write(sys.stdout, plain(value))

    def note(self, text: str) -> None:
        """One line for the person at the terminal."""
        if not self.quiet:
            _write(sys.stderr, text + "\n")

    def step(self, text: str) -> None:
        """A line of progress, with the seconds since the command began."""
        if not self.quiet:
            self.note(f"[{time.monotonic() - self.started:6.1f} s] {one_line(text)}")

    def banner(self, text: str) -> None:
        """A warning that `--quiet` does not silence."""
        line = "!" * min(len(text) + 4, 100)
        _write(sys.stderr, f"{line}\n! {text}\n{line}\n")

    def error(self, error: Mc2Error) -> None:
        """What happened, why, and what to do next."""
        if self.as_json:
            body: dict[str, object] = {
                "code": error.code,
                "exit_code": error.exit_code,
                "message": str(error),
                "hint": error.hint,
            }
            if isinstance(error, AppraisalError):
                body["failures"] = list(error.failures)
            _write(sys.stderr, json.dumps({"error": body}, ensure_ascii=False) + "\n")
            return
        lines = [f"error ({error.code}): {one_line(str(error))}"]
        if isinstance(error, AppraisalError):
            lines += [f"  - {one_line(failure)}" for failure in error.failures]
        if error.hint:
            lines.append(f"  next: {one_line(error.hint)}")
        _write(sys.stderr, "\n".join(lines) + "\n")


def shown(text: str) -> str:
    r"""The text with every controlling or invisible character as its code, such as `\u001b`.

    Ends of lines and tabs stay. In JSON, where such characters stand only inside of texts, the
    codes are JSON's own, so the value is the same.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else _code(c) for c in text)


def one_line(text: str) -> str:
    r"""As `shown`, and ends of lines too: whoever wrote the text cannot pretend to another line."""
    return shown(text).replace("\n", _code("\n"))


def _code(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _write(stream: TextIO, text: str) -> None:
    stream.write(shown(text))
    stream.flush()


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows as aligned text, with a header; widths follow the contents."""
    cells = [[one_line(str(row.get(c, ""))) for c in columns] for row in rows]
    head = [c.replace("_", " ").upper() for c in columns]
    widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(columns))]
    lines = [
        "  ".join(v.ljust(w) for v, w in zip(line, widths, strict=True)) for line in [head, *cells]
    ]
    return "\n".join(line.rstrip() for line in lines)


def rich_console() -> RichConsole:
    """A rich console on standard error, for live progress."""
    from rich.console import Console as Rich

    return Rich(stderr=True)


def plain(value: object) -> str:
    """A value as text for people: a line for each field of a mapping."""
    if isinstance(value, Mapping):
        width = max((len(str(k)) for k in value), default=0)
        return "".join(
            f"{str(k).replace('_', ' '):<{width}}  {_line(v)}\n" for k, v in value.items()
        )
    return f"{_line(value)}\n"


def _line(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(one_line(str(v)) for v in value) or "-"
    return "-" if value is None else one_line(str(value))
