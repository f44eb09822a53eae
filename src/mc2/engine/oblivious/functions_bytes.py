"""Functions of bytes and hashes, and of how alike texts are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.oblivious.calls import Around, OfArguments, OfValues, text_of
from mc2.operators import digests, encodings, hashes, likeness
from mc2.operators.handles import SecretColumn
from mc2.plan.expressions import Expression


def _digest(name: str) -> OfValues:
    return lambda of, v, _: digests.digest(of.run, name, v[0])


def _hash(name: str) -> OfValues:
    return lambda of, v, _: hashes.hash_of(of.run, name, v)


def _sha2(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    return digests.digest(of.run, f"sha{text_of(arguments[1])}", of.of(arguments[0]))


def _encode(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    return encodings.encode(of.run, of.of(arguments[0]), text_of(arguments[1]), of.counts)


def _decode(of: Around, arguments: Sequence[Expression]) -> SecretColumn:
    return encodings.decode(of.run, of.of(arguments[0]), text_of(arguments[1]), of.counts)


BYTES_BY_VALUES: Final[Mapping[str, OfValues]] = {
    "hex": lambda of, v, _: encodings.hexadecimal(of.run, v[0]),
    "unhex": lambda of, v, _: encodings.unhex(of.run, v[0]),
    "binary_digits": lambda of, v, _: encodings.binary_digits(of.run, v[0]),
    "base64": lambda of, v, _: encodings.base64(of.run, v[0]),
    "unbase64": lambda of, v, _: encodings.unbase64(of.run, v[0], of.counts),
    "code_point": lambda of, v, _: encodings.code_point(of.run, v[0]),
    "character": lambda of, v, _: encodings.character(of.run, v[0]),
    "crc32": lambda of, v, _: digests.crc32(of.run, v[0]),
    **{name: _digest(name) for name in ("md5", "sha1")},
    **{name: _hash(name) for name in ("murmur3", "xxhash64")},
    "levenshtein": lambda of, v, _: likeness.count_edits(of.run, v[0], v[1]),
    "soundex": lambda of, v, _: likeness.soundex(of.run, v[0]),
    "find_in_set": lambda of, v, _: likeness.find_in_set(of.run, v[0], v[1]),
}
"""By name."""
BYTES_BY_ARGUMENTS: Final[Mapping[str, OfArguments]] = {
    "sha2": _sha2,
    "encode": _encode,
    "decode": _decode,
}
"""By name; some arguments are constants."""
