"""`mc2 policy`: write, check, explain and compare attestation policies."""

from __future__ import annotations

from pathlib import Path

import click

from mc2.cli.console import Console
from mc2.cli.options import output
from mc2.errors import FormatError, UsageError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(name="policy", epilog="Example: mc2 policy check contract.toml")
def command() -> None:
    """Write, check, explain and compare which enclaves the members accept.

    A policy is the part `attestation` of a contract. FILE is a contract or a policy alone.
    """


@command.command(
    epilog="Example: mc2 policy new --kind snp --set measurements=5fee… --out snp.toml"
)
@click.option("--kind", required=True, help="Kind of evidence: snp, tdx, sgx, nitro, …")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value that only you know, such as measurements=HEX; repeatable.",
)
@click.option("--out", type=_FILE, help="A file that does not exist yet [standard output].")
@output
def new(console: Console, kind: str, settings: tuple[str, ...], out: Path | None) -> None:
    """Write a section from the proposed safe values, each with its reason and date.

    What only you know is left to fill in, and `mc2 policy check` refuses the file until then.
    """
    from mc2.client.policy_defaults import find_kind
    from mc2.client.policy_new import read_settings, write_policy

    found = find_kind(kind)
    text = write_policy(found, read_settings(found, settings))
    if out is None:
        console.data({"kind": found, "policy": text}, text)
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{out} exists already", hint="name another file") from None
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    console.data({"kind": found, "file": str(out)}, f"{out}: a policy for {found}")
    console.note(f"next: fill it in, then mc2 policy check {out}")


@command.command(epilog="Example: mc2 policy check study.toml")
@click.argument("file", type=_FILE)
@output
def check(console: Console, file: Path) -> None:
    """Say everything that is wrong with a policy, with lines. Exit code 3 if anything is."""
    from mc2.client.policy_files import check_policy_file, read_policy_file

    problems = check_policy_file(file)
    if problems:
        for problem in problems:
            where = f"{file}:{problem.line}" if problem.line else str(file)
            console.note(f"{where}: {problem.text}")
        if console.as_json:
            console.data({"problems": [{"line": p.line, "text": p.text} for p in problems]})
        raise FormatError(
            f"{file.name} has {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            hint="mend the lines above, then check again",
        )
    policy = read_policy_file(file).policy
    console.data(
        {"problems": [], "kinds": sorted(policy.sections), "policy": policy.digest},
        f"{file}: in order; policy {policy.digest} for {', '.join(sorted(policy.sections))}",
    )


@command.command(epilog="Example: mc2 policy explain study.toml")
@click.argument("file", type=_FILE)
@output
def explain(console: Console, file: Path) -> None:
    """Say in plain words what a policy accepts, and where it is weaker than proposed."""
    from mc2.client.policy_files import read_policy_file
    from mc2.client.policy_words import explain_policy

    found = read_policy_file(file)
    explained = explain_policy(found.policy, found.min_tier)
    console.data(explained.json(), explained.text())


@command.command(epilog="Example: mc2 policy diff epoch1.toml epoch2.toml")
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
@output
def diff(console: Console, old: Path, new: Path) -> None:
    """Say which rules became weaker, stronger or just different from OLD to NEW."""
    from mc2.client.policy_diff import Direction, compare
    from mc2.client.policy_files import read_policy_file

    before, after = read_policy_file(old), read_policy_file(new)
    changes = [
        {"kind": c.kind, "field": c.field, "direction": c.direction.value, "text": c.text}
        for c in compare(before.policy, after.policy)
    ]
    if before.min_tier != after.min_tier and before.min_tier is not None:
        weaker = after.min_tier is None or after.min_tier < before.min_tier
        direction = Direction.WEAKER if weaker else Direction.STRONGER
        word = after.min_tier.word if after.min_tier is not None else "none"
        text = f"{word}, was {before.min_tier.word}"
        changes.append(
            {"kind": "", "field": "min_tier", "direction": direction.value, "text": text}
        )
    order = [direction.value for direction in Direction]
    changes.sort(key=lambda change: order.index(change["direction"]))
    lines = [
        f"{c['direction']:<10}{' '.join(filter(None, (c['kind'], c['field'])))}: {c['text']}"
        for c in changes
    ]
    console.data(changes, "\n".join(lines) or "the same rules")
