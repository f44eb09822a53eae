"""`mc2 doctor`: what this machine can do, and what to do about the rest."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from mc2.cli.console import Console
from mc2.cli.findings import GOOD, NOTE, POOR, Finding
from mc2.cli.options import home as home_option
from mc2.cli.options import output

_EXTRAS: Final = (
    ("fastapi", "server"),
    ("scikit-learn", "demo"),
    ("pandas", "frames"),
    ("pyspark-client", "connect"),
)
"""A package of each extra, and the extra."""

_SCRIPT: Final = """
import mc2
job = mc2.Job("doctor")
job.release("n", job.sql("SELECT count(*) AS n FROM me.rows"), to=["me"])
"""


@click.command(epilog="Example: mc2 doctor --json")
@click.option(
    "--oblivious", is_flag=True, help="Check the oblivious kernels here, and show their report."
)
@home_option
@output
def command(console: Console, home: Path | None, oblivious: bool) -> None:
    """Say what this machine can do, and what is missing.

    With --oblivious: what was proved of the installed kernels, and a short form of it here. Exits
    with 1 if something that every party needs is missing, or if a kernel leaks.
    """
    if oblivious:
        from mc2.cli.obliviousness import findings as oblivious_findings

        findings = oblivious_findings()
    else:
        findings = [
            *_python(),
            _kernels(),
            _confinement(),
            _scripts(),
            *_hardware(),
            _home(home),
        ]
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:8} {finding.what}: {finding.detail}")
        if finding.hint:
            lines.append(f"         next: {finding.hint}")
    console.data([asdict(f) for f in findings], "\n".join(lines))
    if any(f.state == POOR for f in findings):
        raise SystemExit(1)


def _python() -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    from mc2.plan.packages import package_versions

    found = [Finding("Python", GOOD, f"{platform.python_version()} on {platform.platform()}")]
    versions = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    found.append(Finding("versions in every plan", GOOD, versions))
    for name, extra in _EXTRAS:
        try:
            found.append(Finding(f"extra [{extra}]", GOOD, f"{name} {version(name)}"))
        except PackageNotFoundError:
            hint = f"pip install 'mc2[{extra}]'"
            found.append(Finding(f"extra [{extra}]", NOTE, f"{name} is not installed", hint))
    return found


def _kernels() -> Finding:
    script = "import mc2.operators, mc2._native as n; print(len(n.__all__))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return Finding("native kernels", GOOD, f"{done.stdout.strip()} kernels load")
    return Finding(
        "native kernels", POOR, "the compiled module does not load", "reinstall mc2: make setup"
    )


def _confinement() -> Finding:
    """Confine a child, since there would be no way back here."""
    script = (
        "from mc2.confine import confine\n"
        "for line in confine(allow_threads=True, memory_bytes=None, cpu_seconds=None):\n"
        "    print(line)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return Finding("confinement", GOOD, "; ".join(done.stdout.splitlines()))
    return Finding(
        "confinement",
        POOR,
        "processes cannot be confined here: scripts do not compile, workers do not start",
        "on Linux install libseccomp (Debian: apt-get install libseccomp2)",
    )


def _scripts() -> Finding:
    """Compile a short script, as those of others are compiled."""
    from mc2.crypto.digest import digest
    from mc2.errors import Mc2Error
    from mc2.formats.schema import Column, DataType, Schema
    from mc2.planner.catalog import Catalog, CatalogTable
    from mc2.planner.script import compile_script

    columns = Schema((Column("n", DataType("int64")),))
    rows = CatalogTable(manifest=digest(b"rows"), owner="me", schema=columns, row_bound=1)
    catalog = Catalog(
        contract=digest(b"doctor"),
        name="doctor",
        members={"me": ("analyst", "owner", "recipient")},
        datasets={"me.rows": rows},
    )
    try:
        compile_script(_SCRIPT, name="doctor.py", catalog=catalog)
    except Mc2Error as error:
        return Finding("scripts", POOR, f"none compiles: {error}", "reinstall mc2: make setup")
    return Finding("scripts", GOOD, "compile, in a confined process")


def _hardware() -> list[Finding]:
    """What this machine can prove to data owners, source by source, and why not."""
    from mc2.attestation.collect.choose import survey
    from mc2.attestation.collect.tees import TPM_DEVICE

    found = [
        Finding(f"{f.tee} by {f.source}", NOTE, f.why_not)
        if f.why_not
        else Finding(f"{f.tee} by {f.source}", GOOD, f"gives {f.kind}, tier {f.tier.word}")
        for f in survey()
    ]
    if TPM_DEVICE.exists():
        detail = f"{TPM_DEVICE}, tier measured-boot: does not keep the host out of memory"
        found.append(Finding("tpm", GOOD, detail))
    else:
        found.append(Finding("tpm", NOTE, f"{TPM_DEVICE} does not exist"))
    if any(f.state == GOOD for f in found):
        return found
    hint = "for a demonstration: mc2 start --tee simulated --unsafe-simulation"
    nothing = "none here; a party needs none, an enclave worker does"
    return [*found, Finding("hardware that attests", NOTE, nothing, hint)]


def _home(given: Path | None) -> Finding:
    from mc2.client.home import find_home

    path = find_home(given, os.environ)
    if (path / "identity.json").exists():
        return Finding("your party", GOOD, f"identity in {path}")
    return Finding("your party", NOTE, f"no identity in {path}", "make one: mc2 init NAME")
