"""`mc2 explain`: what a script compiles to, before anybody is asked."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output, simulation
from mc2.cli.propose import read_script


@click.command(epilog="Example: mc2 explain study.py")
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--contract", default="", help="Which collaboration, if you are in several.")
@simulation
@home_option
@output
def command(
    console: Console, script: Path, contract: str, unsafe_simulation: bool, home: Path | None
) -> None:
    """Compile SCRIPT over the newest sealed tables, and show the plan; nothing is proposed.

    Shows what is read, every step with its bound on rows, and of each column that leaves the
    enclave the stored columns that it is computed from and those that decide on its rows.
    """
    from mc2.client.explain import Explanation
    from mc2.plan.check import check_plan

    party = open_party(home, unsafe_simulation=unsafe_simulation)
    plan = party.compile(read_script(script), script_name=script.name, contract=contract)
    explained = Explanation(check_plan(plan))
    console.data(explained.json(), explained.text())
