"""Options that several commands share, and how a command gets its party."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import click

from mc2.cli.console import Console
from mc2.errors import Mc2Error

P = ParamSpec("P")
R = TypeVar("R")


def output(command: Callable[P, R]) -> Callable[P, R]:
    """Add `--json` and `--quiet`; the command gets a `console`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON value.")
    @click.option("--quiet", "-q", is_flag=True, help="No progress.")
    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        console = Console(as_json=bool(kwargs.pop("as_json")), quiet=bool(kwargs.pop("quiet")))
        kwargs["console"] = console
        return command(*args, **kwargs)

    return wrapped


home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="MC2_HOME",
    help="Folder with your keys and records [MC2_HOME; default: your user data folder].",
)

simulation = click.option(
    "--unsafe-simulation",
    is_flag=True,
    help="Accept simulated enclaves where the contract does. They protect nothing.",
)

wait = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    help="Seconds to wait before giving up.",
)


def passphrase_prompt() -> str:
    """Ask for the passphrase on the terminal, or take MC2_PASSPHRASE where there is none.

    Raises: Mc2Error.
    """
    import os
    import sys

    given = os.environ.get("MC2_PASSPHRASE")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Mc2Error(
            "your keys are locked and there is no terminal to ask for the passphrase",
            hint="set MC2_PASSPHRASE for this command",
        )
    secret: str = click.prompt("passphrase", hide_input=True, err=True)
    return secret
