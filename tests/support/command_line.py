"""Runs `mc2` in this process: its exit code, and what it wrote."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from mc2.cli.main import main


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, with --json."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error that it printed, with --json."""
        return json.loads(self.err.splitlines()[-1])["error"]


@dataclass(frozen=True)
class CommandLine:
    """A terminal, without anybody at it."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Done:
        self.monkeypatch.setattr(sys, "argv", ["mc2", *map(str, arguments)])
        self.capsys.readouterr()
        code = main()
        captured = self.capsys.readouterr()
        return Done(code, captured.out, captured.err)
