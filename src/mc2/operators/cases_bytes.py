"""Cases of operators of bytes, hashes and likeness: see `mc2.operators.cases`."""

from __future__ import annotations

from mc2.formats.schema import DataType
from mc2.operators import digests, encodings, hashes, likeness, lists
from mc2.operators.made import ALL_KINDS, BINARY, TEXT, Made, case, everywhere
from mc2.operators.run import Run
from mc2.plan.functions_texts import CHARSETS
from mc2.plan.oblivious_bytes import DIGEST_DIGITS
from mc2.plan.types import INT64


@case("encodings")
def _encodings(run: Run, made: Made) -> object:
    text, raw, number = made.column(TEXT, 127, 17), made.column(BINARY, 99, 9), made.column(INT64)
    counts = everywhere(made)
    spelled = [
        encodings.hexadecimal(run, text), encodings.hexadecimal(run, number),
        encodings.binary_digits(run, number), encodings.base64(run, raw),
    ]  # fmt: skip
    return [
        *spelled, *(encodings.unhex(run, a) for a in (text, *spelled)),
        *(encodings.unbase64(run, a, counts) for a in (text, spelled[-1])),
        *(encodings.encode(run, text, charset, counts) for charset in CHARSETS),
        *(encodings.decode(run, raw, charset, counts) for charset in CHARSETS),
        encodings.decode(run, raw, "UTF-8", counts, strict=False),
        encodings.code_point(run, text), encodings.character(run, number),
    ]  # fmt: skip


@case("digests")
def _digests(run: Run, made: Made) -> object:
    raw = made.column(BINARY, 255, 60)
    return [*(digests.digest(run, name, raw) for name in DIGEST_DIGITS), digests.crc32(run, raw)]


@case("hashes")
def _hashes(run: Run, made: Made) -> object:
    columns = [made.column(kind, 2, width) for kind, width in ALL_KINDS.values()]
    columns.append(made.column(DataType("float")))
    columns.append(lists.make_list(run, [made.column(INT64) for _ in range(2)]))
    return [hashes.hash_of(run, name, columns) for name in ("murmur3", "xxhash64")]


@case("likeness")
def _likeness(run: Run, made: Made) -> object:
    a, b = made.column(TEXT, 127, 17), made.column(TEXT, 127, 3)
    return [
        likeness.count_edits(run, a, b), likeness.soundex(run, a), likeness.soundex(run, b),
        likeness.find_in_set(run, b, a),
    ]  # fmt: skip
