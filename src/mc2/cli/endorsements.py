"""`mc2 endorsements`: vendors' certificates and lists, kept at home for verification offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from mc2.cli.console import Console, table
from mc2.cli.options import endorsement_cache, output, when
from mc2.cli.options import home as home_option
from mc2.errors import AttestationError, UsageError

if TYPE_CHECKING:
    from mc2.client.endorsements import EndorsementCache
    from mc2.client.endorsements_fetch import Vendors, Wants
    from mc2.client.endorsements_index import Endorsement, Entry

_LINES: Final = ("Milan", "Genoa", "Turin")
_COLUMNS: Final = ("subject", "number", "issued", "ends", "state")


@click.group(name="endorsements", epilog="Example: mc2 endorsements show")
def command() -> None:
    """Keep vendors' certificates, revocation lists and statements at home.

    Enclaves' hosts often send them along; what is missing or outdated is taken from here. Only
    `fetch` uses the network.
    """


@command.command(epilog="Example: mc2 endorsements fetch evidence/ --dry-run")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, file_okay=False))
@click.option("--line", type=click.Choice(_LINES), help="AMD: the product line.")
@click.option("--chip", help="AMD: a chip's id, in hex (with --line and --tcb).")
@click.option("--tcb", help="AMD: the reported TCB version, 8 bytes in hex.")
@click.option("--fmspc", help="Intel: the kind of platform, 6 bytes in hex.")
@click.option("--tee", type=click.Choice(["sgx", "tdx"]), default="tdx", show_default=True)
@click.option(
    "--ca",
    type=click.Choice(["platform", "processor"]),
    default="platform",
    show_default=True,
    help="Intel: who issued the platform's certificate.",
)
@click.option("--dry-run", is_flag=True, help="Show whom it would ask, and ask nobody.")
@click.option("--kds", help="Another address of AMD's service, such as a mirror.")
@click.option("--pcs", help="Another address of Intel's service, such as a mirror.")
@click.option("--pcs-certificates", help="Another address of Intel's root revocation list.")
@click.option(
    "--patience",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    help="Seconds to wait for a busy service.",
)
@home_option
@output
def fetch(
    console: Console,
    folders: tuple[Path, ...],
    line: str | None,
    chip: str | None,
    tcb: str | None,
    fmspc: str | None,
    tee: str,
    ca: str,
    dry_run: bool,
    kds: str | None,
    pcs: str | None,
    pcs_certificates: str | None,
    patience: float,
    home: Path | None,
) -> None:
    """Ask AMD and Intel for what the verification of evidence needs.

    FOLDERS hold evidence; or name a chip (--line, --chip, --tcb), a product line (--line) or a
    kind of Intel platform (--fmspc). It says whom it asks and what they learn from that. All
    answers are verified before any of them is kept.
    """
    from mc2.client.endorsements_fetch import fetch as fetch_all
    from mc2.client.endorsements_http import VendorLine

    vendors = vendors_at(kds, pcs, pcs_certificates)
    wanted = [
        *(_wanted_by(folder, line) for folder in folders),
        *_wanted_ids(folders, line=line, chip=chip, tcb=tcb),
        *_wanted_platform(fmspc, tee, ca),
    ]
    if not wanted:
        raise UsageError(
            "there is nothing to ask for",
            hint="name a folder with evidence, or --line, --chip and --tcb, or --fmspc",
        )
    questions = list(dict.fromkeys(q for wants in wanted for q in wants.questions(vendors)))
    for question in questions:
        console.note(f"{question.url}\n  {question.vendor} learns {question.tells}")
    if dry_run:
        console.data(
            [{"vendor": q.vendor, "url": q.url, "tells": q.tells} for q in questions],
            "nobody was asked",
        )
        return
    now = clock()
    with VendorLine(patience=patience) as asking:
        found = fetch_all(wanted, asking, vendors, at=now)
    endorsement_cache(home).keep(found, now=now, source="fetched")
    _report(console, found, now)


@command.command(name="import", epilog="Example: mc2 endorsements import usb/cert_chain.pem usb/")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--at", "moment", help="Verify as of this time, for old evidence [now].")
@home_option
@output
def import_files(
    console: Console, paths: tuple[Path, ...], moment: str | None, home: Path | None
) -> None:
    """Keep endorsements from files: certificates, lists, collateral.json, folders of evidence.

    They are verified exactly like answers from the vendor: up to the pinned roots, and current.
    """
    from mc2.client.endorsements_import import read_endorsements

    now = clock()
    at = when(moment) if moment else now
    vendors = vendors_at(None, None, None)
    found = [e for path in paths for e in read_endorsements(path, vendors, at=at)]
    names = ", ".join(path.name for path in paths)[:200]
    endorsement_cache(home).keep(found, now=now, source=f"imported from {names}")
    _report(console, found, now)


@command.command(epilog="Example: mc2 endorsements show --all")
@click.option("--all", "everything", is_flag=True, help="Also what newer ones replaced.")
@home_option
@output
def show(console: Console, everything: bool, home: Path | None) -> None:
    """List what is kept, until when it is valid, and what should be fetched again."""
    cache, now = endorsement_cache(home), clock()
    subjects = sorted(cache.index().subjects.items())
    entries = [e for _, past in subjects for e in (past if everything else past[-1:])]
    rows = [_row(entry, cache, now) for entry in entries]
    console.data(rows, table(rows, _COLUMNS) if rows else "nothing is kept yet")
    for row, entry in zip(rows, entries, strict=True):
        if row["state"] != "valid" and entry is subjects_last(subjects, entry.subject):
            console.note(f"warning: {entry.subject} {row['state']}: mc2 endorsements fetch")


def subjects_last(subjects: list[tuple[str, tuple[Entry, ...]]], subject: str) -> Entry:
    """The newest entry of a subject."""
    return dict(subjects)[subject][-1]


def clock() -> datetime:
    """This machine's time: what vendors signed must be valid now to be kept."""
    return datetime.now(UTC)


def vendors_at(kds: str | None, pcs: str | None, pcs_certificates: str | None) -> Vendors:
    """The vendors' services, or other addresses of them. Raises: UsageError."""
    from mc2.client.endorsements_fetch import AMD_KDS, INTEL_CERTIFICATES, INTEL_PCS, Vendors
    from mc2.client.endorsements_http import check_base_url

    return Vendors(
        amd_kds=check_base_url(kds or AMD_KDS, "--kds"),
        intel_pcs=check_base_url(pcs or INTEL_PCS, "--pcs"),
        intel_certificates=check_base_url(
            pcs_certificates or INTEL_CERTIFICATES, "--pcs-certificates"
        ),
    )


def _wanted_by(folder: Path, line: str | None) -> Wants:
    from mc2.attestation.folder import load_case
    from mc2.client.endorsements_fetch import wants_of

    return wants_of(load_case(folder)[0], line)


def _wanted_ids(
    folders: tuple[Path, ...], *, line: str | None, chip: str | None, tcb: str | None
) -> list[Wants]:
    from mc2.client.endorsements_fetch import SnpWants, chip_wants

    if chip is None and tcb is None:
        # Beside folders, the line only says what their reports do not.
        return [SnpWants(line=line)] if line and not folders else []
    if chip is None or tcb is None or line is None:
        raise UsageError("a chip's certificate is asked for by --line, --chip and --tcb together")
    return [chip_wants(line, chip, tcb)]


def _wanted_platform(fmspc: str | None, tee: str, ca: str) -> list[Wants]:
    from mc2.client.endorsements_fetch import IntelWants

    if fmspc is None:
        return []
    plain = fmspc.lower()
    if len(plain) != 12 or set(plain) - set("0123456789abcdef"):
        raise UsageError("--fmspc is not 6 bytes in hex")
    return [
        IntelWants(
            tee="SGX" if tee == "sgx" else "TDX",
            fmspc=plain,
            ca="processor" if ca == "processor" else "platform",
        )
    ]


def _report(
    console: Console, found: tuple[Endorsement, ...] | list[Endorsement], now: datetime
) -> None:
    rows: list[dict[str, object]] = [
        {
            "subject": e.subject,
            "number": None if e.number is None else str(e.number),
            "issued": e.issued.isoformat(),
            "ends": e.ends.isoformat(),
            "state": _state(e.ends, now),
        }
        for e in found
    ]
    console.data(rows, table(rows, _COLUMNS))


def _row(entry: Entry, cache: EndorsementCache, now: datetime) -> dict[str, object]:
    return {
        "subject": entry.subject,
        "number": None if entry.number is None else str(entry.number),
        "issued": entry.issued.isoformat(),
        "ends": entry.ends.isoformat(),
        "state": _kept_state(entry, cache, now),
        "kept": entry.kept.isoformat(),
        "source": entry.source,
        "files": dict(entry.files),
    }


def _kept_state(entry: Entry, cache: EndorsementCache, now: datetime) -> str:
    try:
        cache.contents(entry)
    except AttestationError:
        return "is damaged"
    return _state(entry.ends, now)


def _state(ends: datetime, now: datetime) -> str:
    from mc2.client.endorsements import SOON

    if ends < now:
        return "has ended"
    if ends - now < SOON:
        return f"ends in {max((ends - now).days, 0)} days"
    return "valid"
