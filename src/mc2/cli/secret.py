"""`mc2 secret`: seal a value that a script may use and nobody else may know."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output
from mc2.errors import UsageError


@click.command(epilog="Example: mc2 secret limit --type 'decimal(12,2)' < limit.txt")
@click.argument("name")
@click.option("--type", "kind", required=True, help="Its type, for instance int64 or string.")
@click.option("--width", type=click.IntRange(min=1), help="Text: its most bytes [default: 256].")
@home_option
@output
def command(console: Console, name: str, kind: str, width: int | None, home: Path | None) -> None:
    """Seal the secret value NAME: asked for here, or read from standard input; never an argument.

    Scripts use it as job.secret("party.NAME"). Everybody sees that they do, and its type; the value
    is known to you and to the enclave of a job that you approved. The same again is a new version.
    """
    from mc2.client.secret_values import DEFAULT_WIDTH

    sealed = open_party(home).secret(_value(), name, kind, width=width or DEFAULT_WIDTH)
    manifest = sealed.manifest
    console.data(
        {
            "secret": manifest.dataset,
            "version": manifest.version,
            "type": kind,
            "manifest": sealed.digest,
        }
    )


def _value() -> str:
    if sys.stdin.isatty():
        value: str = click.prompt("value", hide_input=True, confirmation_prompt=True)
        return value
    value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError("no value on standard input", hint="mc2 secret NAME --type … < value.txt")
    return value
