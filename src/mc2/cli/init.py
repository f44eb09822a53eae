"""`mc2 init`: a party's keys and card, made once and never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import output


@click.command(epilog='Example: mc2 init clinic_a --organisation "Clinic A, Bern"')
@click.argument("name")
@click.option("--organisation", default="", help="The organisation's full name, for people.")
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that locks the keys.")
@home_option
@output
def command(
    console: Console, name: str, organisation: str, passphrase: bool, home: Path | None
) -> None:
    """Make the keys and the card of a party called NAME.

    NAME is short: a-z, 0-9 and _. The keys never leave this machine; keep a backup of the folder,
    for without it no result opens and no dataset of yours can be used again.
    """
    from mc2.client.home import find_home
    from mc2.client.party import Party

    path = find_home(home, os.environ)
    secret = _new_passphrase() if passphrase else None
    party = Party.create(path, name, organisation or name, passphrase=secret)
    card_file = path / f"{name}.card"
    card_file.write_bytes(party.card())
    card = party.identity.card
    console.data(
        {
            "name": card.name,
            "organisation": card.organisation,
            "home": str(path),
            "card": str(card_file),
            "fingerprint": card.fingerprint,
        }
    )
    console.note("")
    console.note("next: give the card to the other members, and read them the fingerprint by")
    console.note("      telephone; then agree on a contract (docs/howto/collaborate.md)")


def _new_passphrase() -> str:
    given = os.environ.get("MC2_PASSPHRASE")
    if given is not None:
        return given
    secret: str = click.prompt(
        "new passphrase", hide_input=True, confirmation_prompt="again", err=True
    )
    return secret
