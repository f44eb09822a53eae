"""`mc2 init`: a party's keys and card, made once and never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import confirm, open_party, output
from mc2.cli.options import home as home_option
from mc2.errors import LedgerError, UsageError


@click.command(epilog='Example: mc2 init clinic_a --organisation "Clinic A, Bern"')
@click.argument("name", required=False)
@click.option("--organisation", default="", help="The organisation's full name, for people.")
@click.option("--passphrase", is_flag=True, help="Ask for a passphrase that locks the keys.")
@click.option("--new-ledger", is_flag=True, help="Begin a new ledger in place of a lost one.")
@click.option("--yes", is_flag=True, help="With --new-ledger: do not ask.")
@home_option
@output
def command(
    console: Console,
    name: str | None,
    organisation: str,
    passphrase: bool,
    new_ledger: bool,
    yes: bool,
    home: Path | None,
) -> None:
    """Make the keys and the card of a party called NAME.

    NAME is short: a-z, 0-9 and _. The keys never leave this machine; keep a backup of the folder,
    for without it no result opens and no dataset of yours can be used again.

    With --new-ledger the keys stay, and a ledger that is lost or damaged is begun anew; contracts
    are then signed again, and older jobs proposed again.
    """
    from mc2.client.home import find_home
    from mc2.client.party import Party

    if new_ledger:
        _begin_new_ledger(console, name, home, yes=yes)
        return
    if name is None:
        raise click.BadArgumentUsage("Missing argument 'NAME'.", click.get_current_context())
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


def _begin_new_ledger(console: Console, name: str | None, home: Path | None, *, yes: bool) -> None:
    party = open_party(home)
    if name not in (None, party.name):
        raise UsageError(
            f"this home is of {party.name}", hint="name the other home: --home, MC2_HOME"
        )
    try:
        party.log()
    except LedgerError as error:
        console.note(str(error))
    else:
        raise UsageError(
            "the ledger is whole, and what it knows must not be forgotten",
            hint="see it: mc2 log",
        )
    console.note("A new ledger does not know what the old one released. A backup of the old one,")
    console.note("made since its last entry, is better; what is left of it is kept aside.")
    confirm(console, "Is there no such backup?", "NEW LEDGER", yes=yes)
    party.new_ledger()
    console.data({"name": party.name, "ledger": str(party.home.ledger_file)})
    console.note("next: sign your contracts again: mc2 join; older jobs are proposed again")


def _new_passphrase() -> str:
    given = os.environ.get("MC2_PASSPHRASE")
    if given is not None:
        return given
    secret: str = click.prompt(
        "new passphrase", hide_input=True, confirmation_prompt="again", err=True
    )
    return secret
