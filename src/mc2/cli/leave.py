"""`mc2 leave`: release nothing more under a contract."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import confirm, open_party, output
from mc2.cli.options import home as home_option


@click.command(epilog="Example: mc2 leave cardiology-study")
@click.argument("contract")
@click.option("--yes", is_flag=True, help="Leave without asking.")
@home_option
@output
def command(console: Console, contract: str, yes: bool, home: Path | None) -> None:
    """Leave a collaboration: no key of yours is released under CONTRACT any more.

    CONTRACT is its name or digest. Your ledger records it, and no coordinator can undo it. Keys
    that running enclaves hold already stay with them until their lease ends. To come back, all
    members sign a new epoch of the contract.
    """
    party = open_party(home)
    confirm(console, f"Leave {contract} for good?", "LEAVE", yes=yes)
    digest = party.leave(contract)
    console.data({"contract": digest, "state": "left"})
