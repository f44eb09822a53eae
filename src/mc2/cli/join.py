"""`mc2 join`: read a contract, enrol with its coordinator, sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mc2.cli.console import SIMULATION_BANNER, Console
from mc2.cli.options import confirm, open_party, output, simulation
from mc2.cli.options import home as home_option
from mc2.errors import UsageError

if TYPE_CHECKING:
    from mc2.client.party import Party


@click.command(
    epilog="Example: mc2 join study.toml --coordinator coordinator.json --token-file token.txt"
)
@click.argument("contract", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--coordinator",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The coordinator.json that its operator gave you; needed once.",
)
@click.option("--token-file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--token", default="", help="The invitation; better in --token-file.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
@simulation
@home_option
@output
def command(
    console: Console,
    contract: Path,
    coordinator: Path | None,
    token_file: Path | None,
    token: str,
    yes: bool,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Show a collaboration contract in plain words, and sign it.

    CONTRACT is the TOML file that all members agreed on, with their cards beside it. Every member
    signs the same text; nothing runs before all have.
    """
    from mc2.client.contract_words import describe_contract
    from mc2.client.contracts import read_contract_file

    agreed = read_contract_file(contract)
    party = open_party(home, unsafe_simulation=unsafe_simulation)
    party_trust_banner(console, agreed.min_tier)
    console.note(describe_contract(agreed))
    confirm(console, "Are all fingerprints right, and do you agree?", "SIGN", yes=yes)
    if coordinator is not None:
        _enrol(console, party, coordinator, token, token_file)
    status = party.join(agreed)
    console.data(
        {
            "contract": status.digest,
            "name": agreed.name,
            "epoch": agreed.epoch,
            "signed": list(status.signed),
            "missing": list(status.missing),
        }
    )
    if status.missing:
        console.note(f"next: {', '.join(status.missing)} must sign too: mc2 join")
    else:
        console.note("all members have signed; next: mc2 upload, mc2 propose")


def party_trust_banner(console: Console, min_tier: str) -> None:
    """Say loudly that a contract accepts simulation."""
    if min_tier == "simulated":
        console.banner(SIMULATION_BANNER)


def _enrol(console: Console, party: Party, file: Path, token: str, token_file: Path | None) -> None:
    from mc2.formats.coordinator_file import CoordinatorFile

    try:
        found = CoordinatorFile.parse(file.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    party.enrol(found, _token(token, token_file, file))
    console.note(f"enrolled at {found.url} (certificate {found.fingerprint})")


def _token(given: str, file: Path | None, coordinator: Path) -> str:
    if given and file is None:
        return given
    path = file or coordinator.parent / "invitation.token"
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            "no invitation token", hint="ask the coordinator's operator: --token-file FILE"
        ) from None
