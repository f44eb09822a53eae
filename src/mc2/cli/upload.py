"""`mc2 upload`: encrypt here, upload ciphertext, sign the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mc2.cli.console import Console
from mc2.cli.options import home as home_option
from mc2.cli.options import open_party, output, when
from mc2.cli.progress import progress_bar
from mc2.errors import UsageError

_FORMATS = ["csv", "parquet", "arrow", "jsonl", "libsvm", "duckdb", "sqlite"]


@click.command(
    epilog="Example: mc2 upload visits.csv --as visits --column 'cost:decimal(12,2)' "
    "--recipient clinic_b"
)
@click.argument("file", required=False)
@click.option("--from", "origin", help="A file, or a database: postgresql://user@host/name.")
@click.option("--query", default="", help="The SELECT that a database answers.")
@click.option("--as", "name", help="The table's name [default: the file's].")
@click.option("--column", "columns", multiple=True, help="A type, `name:type`; repeatable.")
@click.option("--format", "kind", type=click.Choice(_FORMATS), help="If the ending is silent.")
@click.option("--delimiter", help="What separates CSV fields.")
@click.option("--null", "nulls", multiple=True, help="What means NULL in CSV; repeatable.")
@click.option(
    "--decimals",
    type=click.Choice(["exact", "double"]),
    help="CSV: numbers with a point become exact decimals [default] or doubles.",
)
@click.option(
    "--allow-column", multiple=True, help="Policy: plans may read only these; repeatable."
)
@click.option("--recipient", "recipients", multiple=True, help="Policy: only these may receive.")
@click.option(
    "--model-leaf-rows", type=click.IntRange(0, 10_000_000), default=0,
    help="Policy: models have at least so many rows in each leaf.",
)  # fmt: skip
@click.option(
    "--model-leaf-owners", type=click.IntRange(0, 64), default=0,
    help="Policy: models have rows of at least so many owners in each leaf.",
)  # fmt: skip
@click.option(
    "--model-strip-statistics", is_flag=True,
    help="Policy: models tell not how many rows reach their nodes.",
)  # fmt: skip
@click.option(
    "--model-public-thresholds", is_flag=True,
    help="Policy: models split only at numbers that the plan names.",
)  # fmt: skip
@click.option("--until", help="Policy: no job starts after this date.")
@click.option("--padded", is_flag=True, help="Hide row count and value sizes; needs --row-bound.")
@click.option("--row-bound", type=click.IntRange(min=1), help="Padded: at most so many rows.")
@click.option("--width", "widths", multiple=True, help="Padded: `column=bytes`; repeatable.")
@click.option("--unique", multiple=True, help="Public fact: `column,column` is unique; repeatable.")
@click.option("--range", "ranges", multiple=True, help="Public fact: `age=0..130`; repeatable.")
@click.option("--ascending", multiple=True, help="Public fact: rows come in order of the column.")
@click.option("--domain", "domains", multiple=True, help="Public fact: `ward=A,B`; repeatable.")
@click.option("--compression", type=click.Choice(["none", "lz4", "zstd"]), default=None)
@click.option(
    "--at-home", is_flag=True,
    help="Keep the chunks here: only an enclave on your premises opens them (mc2 home).",
)  # fmt: skip
@click.option("--append", is_flag=True, help="Keep the rows there are, and add these.")
@click.option("--dry-run", is_flag=True, help="Show the schema that would be sealed, and stop.")
@click.option("--resume", is_flag=True, help="Finish uploads that broke off, and do nothing else.")
@home_option
@output
def command(console: Console, file: str | None, home: Path | None, **options: Any) -> None:
    """Encrypt a table on this machine and upload the ciphertext.

    FILE is CSV, Parquet, Arrow, JSON lines or LibSVM; or, with --query, a DuckDB or SQLite file or
    the address of a PostgreSQL database, whose password comes from ~/.pgpass. The schema is
    inferred over all rows and shown. No plaintext is written anywhere; the keys stay here. An
    upload that breaks off is finished with --resume.
    """
    if options["resume"]:
        _resume(console, home)
        return
    file = _which(file, options["origin"])
    source = _source(options)
    if options["dry_run"]:
        _show(console, file, source)
        return
    party = open_party(home)
    name = options["name"] or _name_of(file)
    with progress_bar(console) as progress:
        sealed = party.upload(
            file,
            name,
            policy=_policy(options),
            options=_sealing(options),
            progress=progress,
            **source,
        )
    manifest = sealed.manifest
    console.data(
        {
            "dataset": manifest.dataset,
            "version": manifest.version,
            "rows": sealed.rows,
            "chunks": manifest.whole_chunks,
            "sealed_bytes": sum(c.size for c in manifest.chunks),
            "manifest": sealed.digest,
            "columns": {c.name: str(c.type) for c in manifest.schema.columns},
        }
    )


def _resume(console: Console, home: Path | None) -> None:
    with progress_bar(console) as progress:
        ended = open_party(home).resume_uploads(progress)
    rows = [{"dataset": m.dataset, "version": m.version} for m in ended]
    console.data(rows, "\n".join(f"{r['dataset']} version {r['version']}" for r in rows) or "none")


def _source(options: dict[str, Any]) -> dict[str, Any]:
    from mc2.client.sources.csv_dialect import CsvDialect

    source: dict[str, Any] = {
        "columns": options["columns"],
        "format": options["kind"] or "",
        "query": options["query"],
    }
    if options["delimiter"] or options["nulls"] or options["decimals"]:
        changes: dict[str, Any] = {}
        if options["decimals"]:
            changes["decimals"] = options["decimals"]
        if options["delimiter"]:
            changes["delimiter"] = options["delimiter"].replace("\\t", "\t")
        if options["nulls"]:
            changes["nulls"] = options["nulls"]
        source["csv"] = CsvDialect(**changes)
    return source


def _which(file: str | None, origin: str | None) -> str:
    if (file is None) == (origin is None):
        raise UsageError("which file?", hint="mc2 upload visits.csv")
    return file or origin or ""


def _name_of(file: str) -> str:
    if "://" in file:
        raise UsageError("what is the table called?", hint="add --as NAME")
    return Path(file).name.split(".")[0].lower()


def _show(console: Console, file: str, source: dict[str, Any]) -> None:
    from mc2.client.sources.open import open_source

    survey = open_source(file, **source).survey(lambda _rows: None)
    rows = [
        {"name": c.name, "type": str(c.type), "nullable": c.nullable} for c in survey.schema.columns
    ]
    lines = [f"{r['name']:<32} {r['type']}{'' if r['nullable'] else '  not null'}" for r in rows]
    console.data({"rows": survey.rows, "columns": rows}, "\n".join([f"{survey.rows} rows", *lines]))


def _policy(options: dict[str, Any]) -> Any:
    from mc2.formats.manifest import UsagePolicy

    if options["append"] and not any(
        options[name]
        for name in (
            "allow_column",
            "recipients",
            "until",
            "model_leaf_rows",
            "model_leaf_owners",
            "model_strip_statistics",
            "model_public_thresholds",
        )
    ):
        return None  # what was allowed stays so
    return UsagePolicy(
        columns=tuple(sorted(set(options["allow_column"]))) or None,
        recipients=tuple(sorted(set(options["recipients"]))) or None,
        not_after=when(options["until"]) if options["until"] else None,
        models=_model_policy(options),
    )


def _model_policy(options: dict[str, Any]) -> Any:
    from mc2.formats.manifest import ModelPolicy

    found = ModelPolicy(
        options["model_leaf_rows"],
        options["model_leaf_owners"],
        options["model_strip_statistics"],
        options["model_public_thresholds"],
    )
    return None if found == ModelPolicy() else found


def _sealing(options: dict[str, Any]) -> Any:
    from mc2.client.facts import read_domains, read_keys, read_ranges
    from mc2.client.seal import SealOptions

    widths: dict[str, int] = {}
    for text in options["widths"]:
        column, _, number = text.rpartition("=")
        if not column or not number.isdecimal():
            raise UsageError(f"{text!r} is no width", hint="write --width name=40")
        widths[column] = int(number)
    return SealOptions(
        sizes="padded" if options["padded"] else "exact",
        row_bound=options["row_bound"],
        append=options["append"],
        placement="home" if options["at_home"] else "hosted",
        widths=widths,
        compression=options["compression"] or "",
        unique=read_keys(options["unique"]),
        ranges=read_ranges(options["ranges"]),
        domains=read_domains(options["domains"]),
        ascending=options["ascending"],
    )
