"""`mc2 explain`: what a script compiles to, before anybody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output, simulation
from mc2.cli.propose import read_script

_MOST_WORKERS: Final = 64


@click.command(epilog="Example: mc2 explain study.py --workers 4")
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--contract", default="", help="Which collaboration, if you are in several.")
@click.option(
    "--workers",
    type=click.IntRange(1, _MOST_WORKERS),
    default=1,
    show_default=True,
    help="Show the stages for so many workers.",
)
@simulation
@home_option
@output
def command(
    console: Console,
    script: Path,
    contract: str,
    workers: int,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Compile SCRIPT over the newest sealed tables, and show the plan; nothing is proposed.

    Shows what is read, every step with its bound on rows, and of each column that leaves the
    enclave the stored columns that it is computed from and those that decide on its rows. Then the
    stages in which so many workers would share a large job, and what their hosts see of it.
    """
    from mc2.client.explain import Explanation
    from mc2.client.explain_stages import explain_stages
    from mc2.plan.check import check_plan

    party = open_party(home, unsafe_simulation=unsafe_simulation)
    plan = party.compile(read_script(script), script_name=script.name, contract=contract)
    checked = check_plan(plan)
    explained, stages = Explanation(checked), explain_stages(checked, workers)
    console.data(explained.json() | stages.json(), f"{explained.text()}\n{stages.text()}")
