"""`mc2`: finds the command, runs it, and turns every error into one message and exit code."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from mc2.cli.console import Console
from mc2.errors import Mc2Error, UsageError
from mc2.version import VERSION

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    # command: (section, help). The module is mc2.cli.<command>; it is imported when it runs.
    "demo": ("Try it", "Three parties, real data, one report and one model, three attacks."),
    "doctor": ("Try it", "Say what this machine can do, and what is missing."),
    "init": ("Your party", "Make your keys and your card."),
    "card": ("Your party", "Show a party's card and its fingerprint."),
    "join": ("Your party", "Check a collaboration contract and sign it."),
    "leave": ("Your party", "Leave a collaboration: release nothing more under its contract."),
    "log": ("Your party", "Show your ledger: what you approved and granted."),
    "upload": ("Data", "Encrypt a table here and upload the ciphertext."),
    "secret": ("Data", "Seal a value that scripts may use and nobody else may know."),
    "datasets": ("Data", "List the sealed tables of a collaboration."),
    "explain": ("Jobs", "Show the plan that a script becomes; asks nobody."),
    "propose": ("Jobs", "Compile a script to a plan and ask the owners."),
    "review": ("Jobs", "Say in plain words what a job reads, computes and releases."),
    "approve": ("Jobs", "Sign that a job may run; recompiles the script first."),
    "reject": ("Jobs", "Refuse a job, with a reason."),
    "cancel": ("Jobs", "Take back a job that you proposed."),
    "run": ("Jobs", "Start a job and see it through."),
    "agent": ("Jobs", "Answer attestation challenges for the jobs you approved."),
    "home": ("Jobs", "Run an enclave worker beside tables that stay here."),
    "connect": ("Jobs", "Serve stock PySpark code on this machine, over sealed tables."),
    "status": ("Jobs", "Show jobs, and whom they wait for."),
    "download": ("Results", "Fetch results, verify their proof, open them."),
    "verify": ("Results", "Check the proof of a job, offline."),
    "evidence": ("Attestation", "Verify attestation evidence in a folder, and say what it claims."),
    "policy": ("Attestation", "Write, check, explain and compare attestation policies."),
    "measure": ("Attestation", "Compute what an image or environment will measure."),
    "endorsements": ("Attestation", "Keep vendors' certificates and lists at home."),
    "start": ("Operate", "Start a coordinator and its enclave workers."),
    "stop": ("Operate", "Stop them."),
}


class Commands(click.Group):
    """A group that imports a command's module only when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the menu."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mc2.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `mc2 {near[0]}`?" if near else "`mc2 --help` lists the commands"
            raise UsageError(f"there is no command {args[0]!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The menu, by section."""
        del ctx
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, (section, text) in COMMANDS.items():
            sections.setdefault(section, []).append((name, text))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes and error names: docs/reference/exit-codes.md. A first look: mc2 demo",
)
@click.version_option(VERSION, prog_name="mc2")
def mc2() -> None:
    """Joint SQL and XGBoost over data that nobody reveals.

    Each party encrypts its data at home. All agree on one script. Attested enclaves run it, and
    nothing else; every recipient gets its result with a proof.
    """


def main() -> int:
    """The entry point: run a command, and give the process its exit code."""
    console = Console(as_json="--json" in sys.argv[1:])
    try:
        return _run(console)
    except BrokenPipeError:
        # The reader of our output went away; what is left has nowhere to go.
        sys.stderr.close()
        return 141
    except OSError as error:
        console.error(_system_error(error))
        return Mc2Error.exit_code


def _run(console: Console) -> int:
    try:
        return int(mc2.main(standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        console.note(error.format_message())  # the menu, to whoever typed `mc2` and nothing else
        return UsageError.exit_code
    except click.ClickException as error:
        usage = UsageError(error.format_message(), hint=_usage_hint(error))
        console.error(usage)
        return usage.exit_code
    except Mc2Error as error:
        console.error(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        console.note("interrupted; nothing that was acknowledged is lost")
        return 130


def _system_error(error: OSError) -> Mc2Error:
    """What the operating system refused, about which file. Whatever was begun is as it was."""
    what = error.strerror or type(error).__name__
    if error.filename is not None:
        what += f": {error.filename!s}"
    return Mc2Error(what, hint="mend that (space, permissions, the name), then do the same again")


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` shows how" if context else "`mc2 --help` shows how"


if __name__ == "__main__":
    sys.exit(main())
