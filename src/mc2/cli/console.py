"""How commands speak: data on standard output, everything else on standard error.

With `--json` standard output holds exactly one JSON value, and an error is a JSON object on
standard error. Progress is drawn only on a terminal; elsewhere each step is one plain line.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
            sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
        elif text is not None:
            sys.stdout.write(text.rstrip("\n") + "\n")
        else:
            sys.stdout.write(_plain(value))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """One line for the person at the terminal."""
        if not self.quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def step(self, text: str) -> None:
        """A line of progress, with the seconds since the command began."""
        if not self.quiet:
            self.note(f"[{time.monotonic() - self.started:6.1f} s] {text}")

    def banner(self, text: str) -> None:
        """A warning that `--quiet` does not silence."""
        line = "!" * min(len(text) + 4, 100)
        sys.stderr.write(f"{line}\n! {text}\n{line}\n")
        sys.stderr.flush()

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
            sys.stderr.write(json.dumps({"error": body}, ensure_ascii=False) + "\n")
            return
        sys.stderr.write(f"error ({error.code}): {error}\n")
        if isinstance(error, AppraisalError):
            sys.stderr.writelines(f"  - {failure}\n" for failure in error.failures)
        if error.hint:
            sys.stderr.write(f"  next: {error.hint}\n")
        sys.stderr.flush()


def table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows as aligned text, with a header; widths follow the contents."""
    cells = [[str(row.get(c, "")) for c in columns] for row in rows]
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


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        width = max((len(str(k)) for k in value), default=0)
        return "".join(
            f"{str(k).replace('_', ' '):<{width}}  {_line(v)}\n" for k, v in value.items()
        )
    return f"{_line(value)}\n"


def _line(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value) or "-"
    return "-" if value is None else str(value)
