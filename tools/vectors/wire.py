"""Vectors of what is not signed: job bundles, results, and frames of the worker protocol."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mc2.crypto.digest import digest
from mc2.formats.bundle import JobBundle
from mc2.formats.canonical import decode, encode
from mc2.formats.contract import sign_contract
from mc2.formats.frames import Frame
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import ChunkRef, UsagePolicy
from mc2.formats.result import Kept, Padding, Result
from mc2.formats.schema import Column, DataType, Schema
from mc2.formats.worker import Close, Hello, Missing, Open
from tools.vectors import world

Case = dict[str, str]
_LIMIT = 1 << 24


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    yield from _bundles()
    yield from _results()
    yield from _frames()


def _case(format_name: str, name: str, raw: bytes, error: str, comment: str) -> Case:
    case = {"format": format_name, "name": name, "comment": comment}
    case |= {"expect": "reject", "error": error} if error else {"expect": "accept"}
    return case | ({"hex": raw.hex()} if format_name == "frame" else {"text": raw.decode()})


def _edited(raw: bytes, edit: Callable[[Any], None]) -> bytes:
    value = decode(raw, _LIMIT, "vector")
    edit(value)
    return encode(value)


def _set(**changes: Any) -> Callable[[Any], None]:
    return lambda value: value.update(changes)


def _bundles() -> Iterator[Case]:
    agreed = world.contract("ada")
    good = JobBundle(
        contract=sign_contract(agreed, world.signing_key("ada")),
        plan=b'{"not":"looked at"}',
        proposal=b"{}",
        approvals={"ada": b"{}"},
        manifests={"ada.visits": b"{}"},
        attempt=1,
    )
    raw = good.encode()
    yield _case("job-bundle", "good", raw, "", "its parts are checked by their own rules")
    waiting = replace(good, approvals={})
    yield _case("job-bundle", "waiting", waiting.encode(), "", "an approval is still missing")
    reads_kept = replace(good, kept={"kept.base": b"{}"})
    yield _case("job-bundle", "kept", reads_kept.encode(), "", "a result of an earlier job is read")
    reject = {
        "kept_name": (_set(kept={"base": {}}), "not the name of a kept result"),
        "kept_list": (_set(kept=[]), "kept results are an object"),
        "no_kept": (lambda value: value.pop("kept"), "a missing field"),
        "type": (_set(type="mc2/job-bundle/v2"), "another version"),
        "attempt_zero": (_set(attempt=0), "attempts count from 1"),
        "attempt_text": (_set(attempt="1"), "an attempt is a number"),
        "attempt_many": (_set(attempt=17), "more attempts than any contract allows"),
        "more": (_set(more=1), "a field that is not known"),
        "approver_name": (_set(approvals={"Ada": {}}), "not the name of a member"),
        "dataset_name": (_set(manifests={"visits": {}}), "not the name of a dataset"),
        "approvals_list": (_set(approvals=[]), "approvals are an object"),
        "no_proposal": (lambda value: value.pop("proposal"), "a missing field"),
    }
    for name, (edit, comment) in reject.items():
        yield _case("job-bundle", name, _edited(raw, edit), "FormatError", comment)
    yield _case("job-bundle", "space", raw.replace(b",", b", ", 1), "FormatError", "a space")


def _results() -> Iterator[Case]:
    table = Result(
        context=world.context(),
        output="by_site",
        kind="table",
        schema=Schema((Column("site", DataType("string"), nullable=False),)),
        key_commitment="ab" * 32,
        keys={"ada": b"sealed to ada", "bo": b"sealed to bo"},
        chunks=(ChunkRef(digest(b"chunk"), 5),),
    )
    model = replace(table, output="model", kind="model", schema=None)
    yield _case("result", "table", table.encode(), "", "rows for two recipients")
    yield _case("result", "model", model.encode(), "", "a model has no schema")
    yield from _kept_results(table)
    reject = {
        "type": (_set(type="mc2/result/v2"), "another version"),
        "kind": (_set(kind="text"), "an unknown kind"),
        "model_schema": (_set(kind="model"), "a model with a schema"),
        "table_schema": (_set(schema=None), "a table without one"),
        "no_chunks": (_set(chunks=[]), "no chunk"),
        "chunk_size": (_set(chunks=[{"digest": digest(b""), "bytes": 0}]), "an empty chunk"),
        "no_keys": (_set(keys={}), "no recipient"),
        "recipient": (_set(keys={"Ada": "AA=="}), "not the name of a member"),
        "commitment": (_set(key_commitment="ab"), "a commitment of another length"),
        "output": (_set(output="../model"), "not the name of an output"),
        "attempt": (_set(attempt=0), "attempts count from 1"),
        "more": (_set(more=1), "a field that is not known"),
    }
    for name, (edit, comment) in reject.items():
        yield _case("result", name, _edited(table.encode(), edit), "FormatError", comment)


def _kept_results(table: Result) -> Iterator[Case]:
    shared = Kept(
        row_bound=1000,
        policy=UsagePolicy(recipients=("ada",)),
        origins={"ada.visits": digest(b"manifest"), "kept.earlier": digest(b"result")},
        shares={"ada": "cd" * 32, "bo": "ef" * 32},
    )
    kept = replace(table, kept=shared)
    yield _case("result", "kept", kept.encode(), "", "a table whose key two owners share")
    facts = replace(shared, row_bound=1, model={"rounds": 8})
    model = replace(kept, kind="model", schema=None, kept=facts)
    yield _case("result", "kept_model", model.encode(), "", "a model that two owners keep")
    bound = _edited(model.encode(), lambda value: value["kept"].update(row_bound=2))
    yield _case("result", "kept_model_bound", bound, "FormatError", "a model is one row")

    padded = replace(
        kept,
        padding=Padding(row_bound=900, rows_per_chunk=1000, widths={"site": 6}),
        kept=replace(shared, unique=(("site",),)),
    )
    yield _case("result", "kept_padded", padded.encode(), "", "a table of an oblivious job")
    beyond = _edited(padded.encode(), lambda value: value["kept"].update(row_bound=899))
    yield _case("result", "kept_room", beyond, "FormatError", "room for more rows than its bound")
    other = _edited(padded.encode(), lambda value: value["kept"].update(unique=[["age"]]))
    yield _case("result", "kept_key", other, "FormatError", "a key of a column that is not there")

    def inner(**changes: Any) -> Callable[[Any], None]:
        return lambda value: value["kept"].update(changes)

    reject = {
        "kept_model_without_facts": (
            _set(kind="model", schema=None), "a model of which nothing is known"),
        "kept_table_with_facts": (inner(model={}, row_bound=1), "a table with a model's facts"),
        "kept_facts_list": (inner(model=[]), "facts are an object"),
        "kept_facts_missing": (lambda value: value["kept"].pop("model"), "a missing field"),
        "kept_key_without_share": (inner(shares={"ada": "cd" * 32}), "a key without a share"),
        "kept_share_without_key": (_set(keys={"ada": "AA=="}), "a share without a key"),
        "kept_share_length": (
            inner(shares={"ada": "cd", "bo": "ef" * 32}), "a commitment of another length"),
        "kept_no_origins": (inner(origins={}), "it derives from nothing"),
        "kept_origin": (inner(origins={"visits": digest(b"")}), "not the name of an origin"),
        "kept_bound": (inner(row_bound=-1), "a bound below nothing"),
        "kept_loose_key": (inner(unique=[["site"]]), "a key of a table that is not padded"),
        "kept_more": (inner(more=1), "a field that is not known"),
        "kept_columns": (
            lambda value: value["kept"]["policy"].update(columns=["site"]),
            "columns that may be read, of what was read already"),
        "kept_missing": (lambda value: value.pop("kept"), "a missing field"),
    }  # fmt: skip
    for name, (edit, comment) in reject.items():
        yield _case("result", name, _edited(kept.encode(), edit), "FormatError", comment)


def _frames() -> Iterator[Case]:
    accept = {
        "hello": (Hello().frame(), "the first message of a host"),
        "open": (Open(b"a job bundle").frame(), "a header and a body"),
        "missing": (Missing().frame(), "an answer without a body"),
        "close": (Close().frame(), "drops the job"),
    }
    for name, (frame, comment) in accept.items():
        yield _case("frame", name, b"".join(frame.encode()), "", comment)
    header = encode({"type": "close"})
    reject = {
        "no_header": (struct.pack(">II", 0, 0), "a header has at least two bytes"),
        "long_header": (struct.pack(">II", LIMITS.frame_header_bytes + 1, 0), "above the ceiling"),
        "long_body": (struct.pack(">II", 2, LIMITS.frame_body_bytes + 1), "above the ceiling"),
        "cut_lengths": (bytes(7), "ends inside the lengths"),
        "cut_header": (struct.pack(">II", len(header), 0) + header[:-1], "ends in the header"),
        "cut_body": (struct.pack(">II", len(header), 2) + header + b"x", "ends in the body"),
        "space": (struct.pack(">II", 17, 0) + b'{"type": "close"}', "not canonical"),
        "list": (struct.pack(">II", 2, 0) + b"[]", "a header is an object"),
        "no_type": (struct.pack(">II", 2, 0) + b"{}", "no type"),
        "unknown": (b"".join(Frame({"type": "exec"}).encode()), "an unknown type"),
        "from_enclave": (b"".join(Frame({"type": "closed"}).encode()), "the other direction"),
        "field": (b"".join(Frame({"type": "close", "x": 1}).encode()), "an unknown field"),
        "body": (b"".join(Frame({"type": "close"}, b"x").encode()), "a body where there is none"),
        "version": (
            b"".join(Frame({"type": "hello", "protocol": "mc2/worker/v2"}).encode()),
            "another version of the protocol",
        ),
    }
    for name, (raw, comment) in reject.items():
        yield _case("frame", name, raw, "FormatError", comment)
