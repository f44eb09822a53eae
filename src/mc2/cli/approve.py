"""`mc2 approve`: recompile, compare, confirm, sign."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.join import party_trust_banner
from mc2.cli.options import confirm, full_job_id, open_party, output, simulation, when
from mc2.cli.options import home as home_option
from mc2.cli.propose import read_script
from mc2.crypto.digest import parse_digest
from mc2.errors import ApprovalError, UsageError


@click.command(epilog="Example: mc2 approve 3f2a --script study.py")
@click.argument("job")
@click.option(
    "--script",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own copy of the script: it must be the very one in the plan.",
)
@click.option("--plan", "plan_digest", help="The plan's digest that you reviewed, with --yes.")
@click.option("--until", help="The approval lapses then [default: in 7 days].")
@click.option("--attempts", type=click.IntRange(1, 16), help="At most so many [the contract's].")
@click.option("--yes", is_flag=True, help="Sign without asking; needs --plan or --script.")
@simulation
@home_option
@output
def command(
    console: Console,
    job: str,
    script: Path | None,
    plan_digest: str | None,
    until: str | None,
    attempts: int | None,
    yes: bool,
    unsafe_simulation: bool,
    home: Path | None,
) -> None:
    """Sign that JOB may run, once it is clear that its plan is what its script says.

    The script is compiled again on this machine and the digests are compared. From then on your
    key agent (mc2 agent, or mc2 run) releases your keys to enclaves that prove themselves.
    """
    from mc2.client.review import review_text

    if yes and plan_digest is None and script is None:
        raise UsageError(
            "--yes would sign whatever the coordinator shows just then",
            hint="say what you reviewed: --plan sha256:… (mc2 review names it) or --script FILE",
        )
    party = open_party(home, unsafe_simulation=unsafe_simulation)
    job_id = full_job_id(party, job)
    reviewed = party.review(job_id)
    found = reviewed.job.plan.digest
    if plan_digest is not None and parse_digest(plan_digest, "--plan") != found:
        raise ApprovalError("the job's plan is not the one that you name", hint=f"mc2 review {job}")
    party_trust_banner(console, reviewed.review.tier)
    if not yes:
        console.note(review_text(reviewed.review))
    confirm(console, "Do you allow this job?", "APPROVE", yes=yes)
    approval = party.approve(
        job_id,
        plan=found,
        script=None if script is None else read_script(script),
        not_after=when(until) if until else None,
        max_attempts=attempts or 0,
    )
    console.data(
        {
            "job_id": job_id,
            "plan": found,
            "approval": approval.digest,
            "not_after": approval.value.not_after.isoformat(),
            "max_attempts": approval.value.max_attempts,
        }
    )
    console.note(f"next: mc2 agent (answers for you), or mc2 run {job}")
