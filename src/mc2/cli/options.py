"""Options that several commands share, and how a command gets its party."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import click

from mc2.cli.console import Console
from mc2.errors import UsageError

if TYPE_CHECKING:  # a command loads the client only when it runs
    from mc2.attestation.claims import Verifier
    from mc2.client.desk import Trust
    from mc2.client.endorsements import EndorsementCache
    from mc2.client.party import Party

JOB_ID_BYTES: Final = 16
_SHORTEST_PREFIX: Final = 4

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

    Raises: UsageError.
    """
    import os
    import sys

    given = os.environ.get("MC2_PASSPHRASE")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise UsageError(
            "your keys are locked and there is no terminal to ask for the passphrase",
            hint="set MC2_PASSPHRASE for this command",
        )
    secret: str = click.prompt("passphrase", hide_input=True, err=True)
    return secret


def open_party(home_folder: Path | None, *, unsafe_simulation: bool = False) -> Party:
    """The party in a home, believing in simulated evidence only if the flag was given.

    Raises: UsageError, FormatError, CryptoError.
    """
    import os

    from mc2.client.home import find_home
    from mc2.client.party import Party

    return Party.open(
        find_home(home_folder, os.environ),
        ask_passphrase=passphrase_prompt,
        trust=trust_of(unsafe_simulation=unsafe_simulation, home_folder=home_folder),
    )


def trust_of(*, unsafe_simulation: bool, home_folder: Path | None = None) -> Trust:
    """Which evidence a command believes: hardware always, simulations only by flag."""
    from mc2.client.desk import Trust

    vendors = functools.partial(vendors_with_cache, home_folder)
    if not unsafe_simulation:
        return Trust(vendors=vendors)
    from mc2.attestation.simulated.verifier import SimulatedVerifier

    return Trust(vendors=vendors, simulation=SimulatedVerifier)


def vendors_with_cache(home_folder: Path | None) -> tuple[Verifier, ...]:
    """Verifiers of all vendors' evidence, with the endorsement cache of a home behind them."""
    from mc2.attestation.vendors import vendor_verifiers
    from mc2.client.endorsements_complete import CompletingVerifier

    cache = endorsement_cache(home_folder)
    return tuple(CompletingVerifier(verifier, cache) for verifier in vendor_verifiers())


def endorsement_cache(home_folder: Path | None) -> EndorsementCache:
    """The endorsement cache of a home; there need not be a party in it, nor a home at all."""
    import os

    from mc2.client.endorsements import FOLDER, EndorsementCache
    from mc2.client.home import find_home

    return EndorsementCache(find_home(home_folder, os.environ) / FOLDER)


def full_job_id(party: Party, prefix: str) -> str:
    """A job's whole id from its first characters. Raises: UsageError if none or several match."""
    if set(prefix) - set("0123456789abcdef") or not (
        _SHORTEST_PREFIX <= len(prefix) <= 2 * JOB_ID_BYTES
    ):
        raise UsageError(
            f"{prefix!r} is not a job's id nor its beginning",
            hint=f"list them: mc2 status; give at least {_SHORTEST_PREFIX} of the hex digits",
        )
    if len(prefix) == 2 * JOB_ID_BYTES:
        return prefix
    found = sorted(s.job_id for s in party.status() if s.job_id.startswith(prefix))
    if len(found) == 1:
        return found[0]
    raise UsageError(
        f"{len(found)} jobs begin with {prefix!r}" if found else f"no job begins with {prefix!r}",
        hint="give more of its digits: mc2 status --json" if found else "list them: mc2 status",
    )


def confirm(console: Console, question: str, word: str, *, yes: bool) -> None:
    """Let a person type a word before something that cannot be undone.

    Raises: UsageError where nobody is there to type it and `--yes` was not given.
    """
    import sys

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "this needs a person to confirm, and there is no terminal",
            hint="read the text above, then add --yes",
        )
    console.note("")
    typed = click.prompt(f"{question} Type {word} to go on", default="", err=True)
    if typed.strip() != word:
        raise UsageError("not confirmed; nothing was signed")


def when(text: str) -> datetime:
    """A moment as people type it: `2027-12-31` or `2027-12-31T18:00:00Z`, in UTC.

    Raises: UsageError.
    """
    from datetime import UTC
    from datetime import datetime as moment

    try:
        found = moment.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{text!r} is no date", hint="write 2027-12-31") from None
