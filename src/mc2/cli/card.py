"""`mc2 card`: a card and its fingerprint."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output
from mc2.errors import UsageError


@click.command(epilog="Example: mc2 card ~/Downloads/clinic_b.card")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write your card.")
@home_option
@output
def command(console: Console, file: Path | None, out: Path | None, home: Path | None) -> None:
    """Show a card and its fingerprint: that in FILE, or your own.

    Compare the fingerprint with its owner by telephone before you sign a contract with that card.
    """
    from mc2.formats.card import verify_card

    if file is not None:
        try:
            raw = file.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror}") from None
    else:
        raw = open_party(home).card()
    card = verify_card(raw).card
    if out is not None:
        out.write_bytes(raw)
        console.note(f"written: {out}")
    console.data(
        {
            "name": card.name,
            "organisation": card.organisation,
            "fingerprint": card.fingerprint,
            "digest": card.digest,
        }
    )
