"""Vectors of sealed datasets: column types, schemas, manifests, chunks open and sealed.

Chunks need to know more than their bytes, so their cases carry it: `chunk` has `schema`,
`compression` and `sizes`; `sealed-chunk` has `manifest` (the payload), `key` and `index`;
`sealed-parts` has the parts of chunk 0 instead, as `parts`, a list of hex.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest
from mc2.crypto.secret import DataKey
from mc2.formats.arrow import arrow_schema
from mc2.formats.canonical import encode
from mc2.formats.chunk import pack, pack_rows
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.facts import TableFacts
from mc2.formats.manifest import ChunkRef, Manifest, UsagePolicy
from mc2.formats.schema import Column, Schema, parse_type, width_paths
from tools.vectors import world

Case = dict[str, str]

_SCHEMA = Schema(
    (
        Column("id", parse_type("int64"), nullable=False),
        Column("name", parse_type("string")),
        Column("cost", parse_type("decimal(6,2)")),
        Column("tags", parse_type("list<string>")),
    )
)
_ARROW = arrow_schema(_SCHEMA)
_BATCH = pa.RecordBatch.from_pylist(
    [
        {"id": 1, "name": "ada", "cost": Decimal("12.50"), "tags": ["x", None]},
        {"id": -2, "name": "", "cost": None, "tags": []},
        {"id": 3, "name": None, "cost": Decimal("-0.01"), "tags": None},
    ],
    schema=_ARROW,
)
_CODED = pa.record_batch(
    [pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), pa.array(["", "ada"]))],
    ["name"],
)
_KEY = hashlib.sha256(b"vector data key").digest()


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    yield from _types()
    yield from _schemas()
    yield from _manifests()
    yield from _chunks()
    yield from _sealed_chunks()
    yield from _sealed_parts()


def _case(format_name: str, name: str, error: str, comment: str, **payload: str) -> Case:
    case = {"format": format_name, "name": name, "comment": comment}
    return (
        case | ({"expect": "reject", "error": error} if error else {"expect": "accept"}) | payload
    )


def _types() -> Iterator[Case]:
    accept = [
        "boolean", "int8", "int16", "int32", "int64", "float", "double", "string", "binary",
        "date", "timestamp", "timestamp_utc", "decimal(1,0)", "decimal(38,38)", "list<int8>",
        "struct<a:int8,B_2:list<struct<c:decimal(5,2)>>>", "list<" * 8 + "date" + ">" * 8,
    ]  # fmt: skip
    for number, text in enumerate(accept):
        yield _case("column-type", f"valid_{number}", "", "in its one spelling", text=text)
    reject = {
        "empty": ("", "nothing"),
        "unknown": ("uint8", "a type that is none of ours"),
        "upper": ("INT8", "upper case"),
        "space": ("decimal(5, 2)", "a space"),
        "digits": ("decimal(39,0)", "more than 38 digits"),
        "scale": ("decimal(5,6)", "more digits after the point than in all"),
        "negative_scale": ("decimal(5,-1)", "a negative scale"),
        "leading_zero": ("decimal(05,1)", "a leading zero"),
        "no_size": ("decimal", "a decimal without a size"),
        "open": ("list<int8", "a bracket that is not closed"),
        "trailing": ("list<int8>>", "a bracket too many"),
        "newline": ("int8\n", "a byte after the type"),
        "no_fields": ("struct<>", "a struct without fields"),
        "field_twice": ("struct<a:int8,a:int8>", "one field twice"),
        "field_name": ("struct<1a:int8>", "a field that starts with a digit"),
        "deep": ("list<" * 9 + "date" + ">" * 9, "nested deeper than eight"),
    }
    for name, (text, comment) in reject.items():
        yield _case("column-type", name, "FormatError", comment, text=text)


def _text(value: Any) -> str:
    return encode(value).decode()


def _schemas() -> Iterator[Case]:
    good: Any = _SCHEMA.json()
    first = good[0]
    yield _case("schema", "valid", "", "four columns", text=_text(good))
    odd = [first | {"name": '\u00e9 \U0001f600:",'}]
    yield _case("schema", "odd_name", "", "any text but control characters", text=_text(odd))
    reject: dict[str, tuple[Any, str]] = {
        "no_columns": ([], "a table without columns"),
        "not_a_list": (first, "a column instead of a list"),
        "twice": ([first, first], "one name twice"),
        "case": ([first, first | {"name": "ID"}], "names that differ in case alone"),
        "empty_name": ([first | {"name": ""}], "a column without a name"),
        "control": ([first | {"name": "a\nb"}], "a control character in a name"),
        "long_name": ([first | {"name": "x" * 256}], "a name of 256 characters"),
        "nullable": ([first | {"nullable": 1}], "a number where true or false belongs"),
        "no_nullable": ([{"name": "a", "type": "int8"}], "a field left out"),
        "more": ([first | {"key": True}], "an unknown field"),
        "bad_type": ([first | {"type": "int"}], "a type that is none"),
    }
    for name, (value, comment) in reject.items():
        yield _case("schema", name, "FormatError", comment, text=_text(value))


def _manifest(sizes: str = "exact", compression: str = "none", count: int = 2) -> Manifest:
    return Manifest(
        dataset="ada.visits",
        owner="ada",
        dataset_id="0123456789abcdef0123456789abcdef",
        version=2,
        created=world.THEN,
        schema=_SCHEMA,
        sizes=sizes,
        compression=compression,
        row_bound=2 + count,
        rows_per_chunk=3 if count == 2 else 2 + count,
        key_salt=hashlib.sha256(b"vector key salt").hexdigest(),
        key_commitment=DataKey(_KEY).commitment(),
        policy=UsagePolicy(columns=("cost", "id"), recipients=("bo",), not_after=world.LATER),
        chunks=tuple(ChunkRef(digest(bytes([i])), 4112) for i in range(count)),
        facts=TableFacts(dict.fromkeys(width_paths(_SCHEMA), 16) if sizes == "padded" else {}),
    )


def _signed(payload: bytes, signer: str = "ada") -> str:
    return Envelope.sign(PayloadType.MANIFEST, payload, world.signing_key(signer)).encode().decode()


def _manifests() -> Iterator[Case]:
    good: Any = _manifest().json()
    yield _case("manifest", "valid", "", "two chunks, exact", text=_signed(encode(good)))
    padded: Any = _manifest("padded").json()
    yield _case("manifest", "padded", "", "chunks of one size", text=_signed(encode(padded)))
    # One segment of version 1 with three rows, so that the version's own chunk has one.
    segment = {
        "version": 1,
        "row_bound": 3,
        "key_commitment": hashlib.sha256(b"vector commitment").hexdigest(),
        "sealed_key": hashlib.sha384(b"vector sealed key").hexdigest(),
    }
    grown = _signed(encode({**good, "earlier": [segment]}))
    yield _case(
        "manifest", "grown", "", "a segment of version 1 and a chunk of its own", text=grown
    )
    cut = {**good, "cuts": [1, 3], "chunks": [c for c in good["chunks"] for _ in range(3)]}
    text = _signed(encode(cut))
    yield _case("manifest", "cut", "", "two chunks in three parts each", text=text)
    stranger = _signed(encode(good), "stranger")
    yield _case("manifest", "stranger", "SignatureError", "signed by another key", text=stranger)
    chunk, policy = good["chunks"][0], good["policy"]
    edits: dict[str, tuple[dict[str, Any], str]] = {
        "other_owner": ({"owner": "bo"}, "a dataset in the name of another party"),
        "no_party": ({"dataset": "visits"}, "a dataset without its party"),
        "version_zero": ({"version": 0}, "versions start at one"),
        "version_text": ({"version": "2"}, "a number as text"),
        "unknown_field": ({"rows": 4}, "an unknown field"),
        "one_chunk_less": ({"chunks": [chunk]}, "fewer chunks than the row bound needs"),
        "one_chunk_more": ({"chunks": [chunk] * 3}, "more chunks than the row bound needs"),
        "no_chunk": ({"chunks": [], "row_bound": 0}, "an empty table still has one chunk"),
        "empty_chunk": ({"chunks": [chunk, chunk | {"bytes": 0}]}, "a chunk of no bytes"),
        "huge_chunk": ({"chunks": [chunk, chunk | {"bytes": 1 << 30}]}, "a chunk of a gigabyte"),
        "padded_compressed": ({**padded, "compression": "zstd"}, "padded and compressed"),
        "padded_unequal": (
            {**padded, "chunks": [chunk, chunk | {"bytes": 4113}]},
            "padded, and of two sizes",
        ),
        "no_width": ({**padded, "facts": good["facts"]}, "padded, without widths"),
        "compression": ({"compression": "gzip"}, "a compression that is none of ours"),
        "short_salt": ({"key_salt": "00" * 16}, "a salt of 16 bytes"),
        "upper_id": ({"dataset_id": "AB" * 16}, "upper-case hex"),
        "policy_column": ({"policy": policy | {"columns": ["x"]}}, "a policy on no column"),
        "policy_order": ({"policy": policy | {"columns": ["id", "cost"]}}, "columns out of order"),
        "policy_empty": ({"policy": {}}, "a policy that leaves something unsaid"),
        "segment_of_now": ({"earlier": [segment | {"version": 2}]}, "a segment of this version"),
        "segments_twice": (
            {"earlier": [segment, segment], "row_bound": 7, "chunks": [chunk] * 3},
            "two segments of one version",
        ),
        "segment_too_large": (
            {"earlier": [segment | {"row_bound": 5}]},
            "more rows than the table",
        ),
        "segment_chunks": (
            {"earlier": [segment | {"row_bound": 1}], "chunks": [chunk]},
            "a chunk of a segment is missing",
        ),
        "segment_key": (
            {"earlier": [segment | {"sealed_key": "00" * 32}]},
            "a segment's key without its tag",
        ),
        "cuts_fall": ({"cuts": [2, 1], "chunks": [chunk] * 6}, "cuts that fall"),
        "cut_twice": ({"cuts": [1, 1], "chunks": [chunk] * 6}, "one cut twice"),
        "cut_at_zero": ({"cuts": [0], "chunks": [chunk] * 4}, "a part without columns"),
        "cut_behind": ({"cuts": [4], "chunks": [chunk] * 4}, "a part behind the last column"),
        "cut_text": ({"cuts": ["1"], "chunks": [chunk] * 4}, "a number as text"),
        "cut_uncounted": ({"cuts": [1]}, "chunks that are cut, and as many blobs as if not"),
        "cut_short": ({"cuts": [1], "chunks": [chunk] * 3}, "a chunk without its last part"),
        "cut_padded": (
            {**padded, "cuts": [1], "chunks": padded["chunks"] * 2},
            "padded, and cut",
        ),
        "no_segments": ({"earlier": None}, "no list of segments"),
        "policy_more": ({"policy": policy | {"purpose": "all"}}, "a rule that nobody knows"),
    }
    for name, (edit, comment) in edits.items():
        text = _signed(encode({**good, **edit}))
        yield _case("manifest", name, "FormatError", comment, text=text)
    spaced = json.dumps(good, sort_keys=True).encode()
    yield _case(
        "manifest", "not_canonical", "FormatError", "spaces in the payload", text=_signed(spaced)
    )


def _stream(*batches: pa.RecordBatch, schema: pa.Schema = _ARROW, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for batch in batches:
            writer.write_batch(batch)
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def _chunk(name: str, raw: bytes, error: str, comment: str, **context: str) -> Case:
    context = {"schema": _text(_SCHEMA.json()), "compression": "none", "sizes": "exact"} | context
    return _case("chunk", name, error, comment, hex=raw.hex(), **context)


def _chunks() -> Iterator[Case]:
    for compression in ("none", "lz4", "zstd"):
        raw = pack_rows(_BATCH, compression)
        yield _chunk(f"valid_{compression}", raw, "", "three rows", compression=compression)
    text = {"schema": _text([Column("name", parse_type("string")).json()])}
    for codec in ("lz4", "zstd"):
        payload = _stream(_CODED, schema=_CODED.schema, compression=codec)
        context = text | {"compression": codec}
        yield _chunk(f"coded_{codec}", pack(payload, rows=3), "", "texts by codes", **context)
    yield _chunk("valid_empty", pack_rows(_BATCH.slice(0, 0)), "", "no rows")
    padded = pack_rows(_BATCH, size=2048)
    yield _chunk("valid_padded", padded, "", "zeros up to 2048 bytes", sizes="padded")
    for name, (raw, comment, context) in _bad_headers().items():
        yield _chunk(name, raw, "FormatError", comment, **context)
    for name, (payload, comment, context) in _bad_streams().items():
        yield _chunk(name, pack(payload, rows=3), "FormatError", comment, **context)


def _bad_headers() -> dict[str, tuple[bytes, str, dict[str, str]]]:
    good, padded = pack_rows(_BATCH), pack_rows(_BATCH, size=2048)
    hidden = padded[:-1] + b"\x01"
    many = struct.pack(">4sIQ", b"MC2C", 1 << 21, 0)
    return {
        "empty": (b"", "nothing", {}),
        "magic": (b"MC2X" + good[4:], "another magic", {}),
        "cut": (good[:-1], "the last byte is missing", {}),
        "longer": (good + b"\x00", "a byte after the payload", {}),
        "padded_exact": (padded, "padding in an exact table", {}),
        "hidden": (hidden, "a byte that is not zero in the padding", {"sizes": "padded"}),
        "too_many_rows": (many, "more rows than a chunk may have", {}),
        "rows_differ": (pack(good[16:], rows=2), "a header that counts otherwise", {}),
        "compressed": (pack_rows(_BATCH, "zstd"), "compressed against the manifest", {}),
        "not_compressed": (good, "not compressed against the manifest", {"compression": "zstd"}),
        "other_codec": (pack_rows(_BATCH, "lz4"), "another compression", {"compression": "zstd"}),
    }


def _bad_streams() -> dict[str, tuple[bytes, str, dict[str, str]]]:
    one = _stream(_BATCH)
    metadata = _BATCH.replace_schema_metadata({"pandas": "{}"})
    renamed = _BATCH.rename_columns(["ID", "name", "cost", "tags"])
    loose = pa.schema([_ARROW.field(0).with_nullable(True), *list(_ARROW)[1:]])
    gap = pa.record_batch([pa.array([1, None, 3]), *_BATCH.columns[1:]], schema=loose)
    words = pa.record_batch([pa.array(["a", "b", "a"]).dictionary_encode()], ["name"])
    text = {"schema": _text([Column("name", parse_type("string")).json()])}
    nested = {"schema": _text([Column("x", parse_type("list<list<int8>>")).json()])}
    empty = pa.record_batch([pa.array([[], [], []], pa.list_(pa.list_(pa.int8())))], ["x"])
    hollow = _stream(empty, schema=empty.schema)
    at = hollow.rindex(struct.pack("<qq", 16, 4))  # where the inner offsets stand
    bomb = pa.record_batch([pa.array(["x" * 1000, "", ""])], ["name"])
    inflated = _stream(bomb, schema=bomb.schema, compression="zstd")
    claim = inflated.rindex(struct.pack("<q", 1000))
    wrong = {
        "no_batch": (_stream(), "a schema and no batch", {}),
        "two_batches": (_stream(_BATCH, _BATCH), "two batches", {}),
        "no_end": (one[:-8], "no end mark", {}),
        "after_end": (one + one, "a second stream after the first", {}),
        "not_arrow": (b"id,name\n1,ada\n", "CSV", {}),
        "metadata": (_stream(metadata, schema=metadata.schema), "metadata in the schema", {}),
        "renamed": (_stream(renamed, schema=renamed.schema), "another name", {}),
        "nullable": (_stream(gap, schema=loose), "a column that may be NULL and must not", {}),
        "null": (_stream(_under(_ARROW, gap)), "NULL in a column that excludes it", {}),
        "dictionary": (_stream(words, schema=words.schema), "an encoding by dictionary", text),
        "utf8": (one.replace(b"ada", b"a\xffa"), "text that is not UTF-8", {}),
        "offsets": (
            one.replace(struct.pack("<4i", 0, 3, 3, 3), struct.pack("<4i", 0, 9, 3, 3)),
            "offsets that fall",
            {},
        ),
        "no_offsets": (
            hollow[:at] + struct.pack("<qq", 16, 0) + hollow[at + 16 :],
            "an empty list without offsets: valid to Arrow, a crash to its users",
            nested,
        ),
        "bomb": (
            inflated[:claim] + struct.pack("<q", 1 << 40) + inflated[claim + 8 :],
            "a buffer that claims to inflate to a tebibyte",
            text | {"compression": "zstd"},
        ),
        **_bad_widths(),
        **_bad_codes(),
        "old_version": (
            _stream(_BATCH, metadata_version=ipc.MetadataVersion.V4),
            "an old version of the format",
            {},
        ),
    }
    assert all(payload != one for payload, _, _ in wrong.values())
    return wrong


def _bad_widths() -> dict[str, tuple[bytes, str, dict[str, str]]]:
    """Whole numbers that travel in widths that their columns have not."""

    def of(name: str, kind: str, *values: pa.Array, **context: str) -> tuple[bytes, dict[str, str]]:
        names = [f"{name}{i}" for i in range(len(values))]
        columns = Schema(tuple(Column(n, parse_type(kind)) for n in names))
        batch = pa.record_batch(list(values), names)
        stream = _stream(batch, schema=batch.schema, compression="zstd")
        return stream, {"schema": _text(columns.json()), "compression": "zstd"} | context

    three = [1, 2, 3]
    wide, wide_in = of("n", "int32", pa.array(three, pa.int64()))
    digits, digits_in = of("n", "decimal(2,1)", pa.array([1, 100, 3], pa.int8()))
    plain, plain_in = of("n", "decimal(2,1)", pa.array(three, pa.decimal128(2, 1)))
    sign, sign_in = of("n", "int32", pa.array(three, pa.uint16()))
    bare, bare_in = of("n", "int32", pa.array(three, pa.int8()))
    bare = _stream(
        pa.record_batch([pa.array(three, pa.int8())], ["n0"]), schema=pa.schema([("n0", pa.int8())])
    )
    return {
        "wide": (wide, "64 bits where the column has 32", wide_in),
        "digits": (digits, "three digits where the decimal has two", digits_in),
        "not_narrow": (plain, "a decimal of few digits in 128 bits, compressed", plain_in),
        "unsigned": (sign, "numbers without a sign", sign_in),
        "narrow_bare": (bare, "narrow, not compressed", bare_in | {"compression": "none"}),
    }


def _messages(raw: bytes) -> list[bytes]:
    """The messages of a stream, and its end."""
    reader, found = pa.BufferReader(raw), []
    while (start := reader.tell()) < len(raw) - 8:
        ipc.read_message(reader)
        found.append(raw[start : reader.tell()])
    return [*found, raw[-8:]]


def _bad_codes() -> dict[str, tuple[bytes, str, dict[str, str]]]:
    """Texts by codes as they must not travel."""

    def of(codes: Any, texts: pa.Array, *, kind: str = "string", **more: bool) -> Any:
        array = pa.DictionaryArray.from_arrays(codes, texts, safe=False, **more)
        batch = pa.record_batch([array], ["name"])
        schema = _text([Column("name", parse_type(kind)).json()])
        raw = _stream(batch, schema=batch.schema, compression="zstd")
        return raw, {"schema": schema, "compression": "zstd"}

    codes, texts = pa.array([0, 1, 0], pa.int8()), pa.array(["x", "y"])
    good, plain = of(codes, texts)
    more, _ = of(codes, pa.array(["x", "y", "z"]))
    head, words, rows, end = _messages(good)
    several = _messages(more)[1]
    bomb = pa.array(["x" * (24 << 20)])
    not_text = texts.cast(pa.binary())
    cases = {
        "codes_wide": (of(codes.cast(pa.int32()), texts), "codes of 32 bits"),
        "codes_unsigned": (of(codes.cast(pa.uint8()), texts), "codes without a sign"),
        "codes_ordered": (of(codes, texts, ordered=True), "texts that claim an order"),
        "codes_of_numbers": (of(codes, pa.array([5, 6]), kind="int64"), "numbers by codes"),
        "codes_of_bytes": (of(codes, not_text, kind="binary"), "bytes by codes"),
        "codes_beyond": (of(pa.array([0, 2, 0], pa.int8()), texts), "a code without a text"),
        "codes_below": (of(pa.array([0, -1, 0], pa.int8()), texts), "a code below zero"),
        "codes_null": (of(codes, pa.array(["x", None])), "a code that stands for NULL"),
        "codes_twice": (of(codes, pa.array(["x", "x"])), "two codes for one text"),
        "codes_bomb": (of(pa.array([0, 0, 0], pa.int8()), bomb), "three times 24 MiB"),
        "codes_utf8": (
            of(codes, pa.array([b"a", b"\xff"]).view(pa.string())),
            "texts that are not UTF-8",
        ),
        "codes_alone": ((head + rows + end, plain), "codes without their texts"),
        "codes_again": ((head + words + several + rows + end, plain), "texts that come twice"),
        "codes_late": ((head + rows + words + end, plain), "texts after the rows"),
        "codes_only": ((head + words + end, plain), "texts without rows"),
    }
    return {name: (raw, comment, context) for name, ((raw, context), comment) in cases.items()}


def _under(schema: pa.Schema, batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _sealed_chunks() -> Iterator[Case]:
    draft = _manifest(count=1)
    raw = ChunkCipher(_KEY).seal(0, pack_rows(_BATCH), draft.associated_data(0))
    manifest = replace(draft, chunks=(ChunkRef(digest(raw), len(raw)),))
    wrong_rows = ChunkCipher(_KEY).seal(0, pack_rows(_BATCH.slice(1)), draft.associated_data(0))
    short = replace(manifest, chunks=(ChunkRef(digest(wrong_rows), len(wrong_rows)),))
    flipped = raw[:-1] + bytes([raw[-1] ^ 1])
    forged = replace(manifest, chunks=(ChunkRef(digest(flipped), len(flipped)),))
    table: dict[str, tuple[Manifest, bytes, bytes, str, str, str]] = {
        "valid": (manifest, _KEY, raw, "0", "", "the only chunk"),
        "no_such_chunk": (manifest, _KEY, raw, "1", "DatasetError", "a chunk too many"),
        "swapped": (manifest, _KEY, wrong_rows, "0", "DatasetError", "not the named blob"),
        "cut": (manifest, _KEY, raw[:-1], "0", "DatasetError", "the last byte is missing"),
        "flipped": (forged, _KEY, flipped, "0", "CryptoError", "one bit of the tag"),
        "other_key": (manifest, bytes(32), raw, "0", "DatasetError", "not the committed key"),
        "other_version": (
            replace(manifest, version=3), _KEY, raw, "0", "CryptoError", "of an older version",
        ),
        "other_dataset": (
            replace(manifest, dataset_id="00" * 16), _KEY, raw, "0", "CryptoError", "another table",
        ),
        "fewer_rows": (short, _KEY, wrong_rows, "0", "DatasetError", "two rows, not three"),
    }  # fmt: skip
    for name, (of, key, sealed, index, error, comment) in table.items():
        context = {"manifest": _text(of.json()), "key": key.hex(), "index": index}
        yield _case("sealed-chunk", name, error, comment, hex=sealed.hex(), **context)


def _sealed_parts() -> Iterator[Case]:
    draft = replace(_manifest(count=1), cuts=(2,), chunks=_manifest(count=2).chunks)
    left, right = _BATCH.select([0, 1]), _BATCH.select([2, 3])

    def sealed(part: int, batch: pa.RecordBatch) -> bytes:
        return ChunkCipher(_KEY).seal(part, pack_rows(batch), draft.associated_data(0, part))

    def naming(*parts: bytes) -> Manifest:
        return replace(draft, chunks=tuple(ChunkRef(digest(p), len(p)) for p in parts))

    one, two, short = sealed(0, left), sealed(1, right), sealed(1, right.slice(1))
    whole = ChunkCipher(_KEY).seal(0, pack_rows(left), _manifest(count=1).associated_data(0))
    good = naming(one, two)
    table: dict[str, tuple[Manifest, list[bytes], str, str]] = {
        "valid": (good, [one, two], "", "one chunk in two parts"),
        "missing": (good, [one], "DatasetError", "the second part is missing"),
        "more": (good, [one, two, two], "DatasetError", "a part too many"),
        "swapped": (good, [two, one], "DatasetError", "the parts in another order"),
        "repeated": (good, [one, one], "DatasetError", "the first part twice"),
        "swapped_signed": (naming(two, one), [two, one], "CryptoError", "so in the manifest, too"),
        "repeated_signed": (naming(one, one), [one, one], "CryptoError", "so in the manifest, too"),
        "other_cut": (
            replace(good, cuts=(1,)), [one, two], "CryptoError", "cut before another column",
        ),
        "uncut": (
            naming(whole, two), [whole, two], "CryptoError", "bound as a chunk that is not cut",
        ),
        "fewer_rows": (naming(one, short), [one, short], "DatasetError", "parts of unequal rows"),
    }  # fmt: skip
    for name, (of, parts, error, comment) in table.items():
        context = {"manifest": _text(of.json()), "key": _KEY.hex()}
        listed = _text([p.hex() for p in parts])
        yield _case("sealed-parts", name, error, comment, parts=listed, **context)
