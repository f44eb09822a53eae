"""`mc2 propose`: a script becomes a plan, and the plan a job that waits for its owners."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output, simulation
from mc2.errors import UsageError
from mc2.formats.limits import LIMITS


@click.command(epilog="Example: mc2 propose study.py --note 'first look'")
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--contract", default="", help="Which collaboration, if you are in several.")
@click.option("--note", default="", help="A word to those who must approve.")
@simulation
@home_option
@output
def command(
    console: Console,
    script: Path,
    contract: str,
    note: str,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Compile SCRIPT over the newest sealed tables, and ask the owners for one run of it."""
    party = open_party(home, unsafe_simulation=unsafe_simulation)
    proposed = party.propose(
        read_script(script), script_name=script.name, contract=contract, note=note
    )
    plan = proposed.plan
    console.data(
        {
            "job_id": proposed.job_id,
            "plan": plan.digest,
            "title": plan.title,
            "inputs": [i.dataset for i in plan.inputs],
            "outputs": {o.name: list(o.recipients) for o in plan.outputs if not o.keep},
            "kept": [o.name for o in plan.outputs if o.keep],
        }
    )
    console.note(f"next: its owners review and approve it: mc2 review {proposed.job_id[:8]}")


def read_script(path: Path) -> str:
    """A script's text. Raises: UsageError."""
    try:
        with path.open("rb") as file:
            raw = file.read(LIMITS.script_bytes + 1)
        text = raw.decode("utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    if len(raw) > LIMITS.script_bytes:
        raise UsageError(f"{path} is larger than {LIMITS.script_bytes} bytes")
    return text
