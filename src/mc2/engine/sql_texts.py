"""Functions of text and bytes in DuckDB's words, where needed with Spark's meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.routines import RANGE
from mc2.engine.routines_hashes import hash_routine
from mc2.engine.routines_texts import TEXTS as ROUTINES
from mc2.engine.routines_texts import decode, encode, format_number, sha2
from mc2.engine.sql_print import Print, called, infix, let_all, listed, named, template
from mc2.engine.sql_terms import Scribe, Term, cast_to, raising
from mc2.engine.sql_types import sql_string, sql_type
from mc2.formats.schema import DataType
from mc2.plan.like import ESCAPE
from mc2.plan.regex import read_pattern, read_replacement
from mc2.plan.types import INT32, STRING


def _substring(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    """Positions count from 1 and 0 means 1; a length below zero gives the empty text."""
    text, start, length = arguments

    def body(p: str, n: str) -> str:
        first = f"CASE WHEN {p} = 0 THEN 1 ELSE {p} END"
        many = f"CASE WHEN {n} < 0 THEN 0 ELSE {n} END"
        return f"substring({text.sql}, {first}, {many})"

    return scribe.let(start, lambda p: scribe.let(length, lambda n: body(p, n)))


def _length(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    name = "length" if arguments[0].type.name == "string" else "octet_length"
    return cast_to(f"{name}({arguments[0].sql})", result)


def _like(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return f"({arguments[0].sql} LIKE {arguments[1].sql} ESCAPE {sql_string(ESCAPE)})"


def _trim(name: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        taken = arguments[1].sql if len(arguments) > 1 else "' '"
        return f"{name}({arguments[0].sql}, {taken})"

    return write


def _concat(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    if result.name == "list":  # DuckDB takes NULL for an empty list here
        nothing = f"CAST(NULL AS {sql_type(result)})"

        def body(*names: str) -> str:
            absent = " OR ".join(f"{n} IS NULL" for n in names)
            return f"CASE WHEN {absent} THEN {nothing} ELSE list_concat({', '.join(names)}) END"

        return let_all(scribe, arguments, body)
    return infix("||")(scribe, arguments, result)


def _pad(name: str) -> Print:
    def body(text: str, length: str, fill: str) -> str:
        cut = f"left({text}, greatest({length}, 0))"
        return f"CASE WHEN {fill} = '' THEN {cut} ELSE {name}({text}, {length}, {fill}) END"

    return named(body)


def _reverse(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    if result.name == "list":
        return f"list_reverse({arguments[0].sql})"
    return scribe.call(ROUTINES["reverse"], arguments[0].sql)


def _character(n: str) -> str:
    return f"CASE WHEN {n} < 0 THEN '' ELSE chr(CAST({n} % 256 AS INTEGER)) END"


def _split_part(s: str, mark: str, n: str) -> str:
    absent = f"{s} IS NULL OR {mark} IS NULL OR {n} IS NULL"
    whole = f"CASE WHEN abs({n}) = 1 THEN {s} ELSE '' END"
    return (
        f"CASE WHEN {absent} THEN CAST(NULL AS VARCHAR) WHEN {n} = 0 THEN {raising(RANGE, STRING)} "
        f"WHEN {mark} = '' THEN {whole} ELSE split_part({s}, {mark}, {n}) END"
    )


def _pattern(term: Term) -> str:
    return sql_string(read_pattern(term.literal or "").re2)


def _matches(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return f"regexp_matches({arguments[0].sql}, {_pattern(arguments[1])})"


def _extract(name: str) -> Print:
    def write(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
        text, pattern, group = arguments
        return f"{name}({text.sql}, {_pattern(pattern)}, {int(group.literal or '0')})"

    return write


def _regex_replace(_scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    text, pattern, new = arguments
    groups = read_pattern(pattern.literal or "").groups
    written = sql_string(read_replacement(new.literal or "", groups))
    return f"regexp_replace({text.sql}, {_pattern(pattern)}, {written}, 'g')"


def _regex_count(_scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
    text, pattern = arguments
    return cast_to(f"len(regexp_extract_all({text.sql}, {_pattern(pattern)}))", result)


def _split(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    text, pattern = arguments[0], _pattern(arguments[1])
    limit = int(arguments[2].literal or "0")
    if limit <= 0:
        return f"regexp_split_to_array({text.sql}, {pattern})"

    def body(s: str) -> str:
        parts = f"regexp_split_to_array({s}, {pattern})"
        before = f"{parts}[1:{limit - 1}]"
        marks = f"regexp_extract_all({s}, {pattern})[1:{limit - 1}]"
        read = " + ".join(f"length(array_to_string({x}, ''))" for x in (before, marks))
        rest = f"substring({s}, 1 + {read})"
        return f"(CASE WHEN len({parts}) <= {limit} THEN {parts} ELSE {before} || [{rest}] END)"

    return scribe.let(text, body)


def _unhex(s: str) -> str:
    return f"CASE WHEN regexp_full_match({s}, '[0-9A-Fa-f]*') THEN unhex({s}) END"


def _encode(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    text, charset = arguments
    if charset.literal == "UTF-8":
        return f"encode({text.sql})"
    return scribe.call(encode(charset.literal or ""), text.sql)


def _decode(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    return scribe.call(decode(arguments[1].literal or ""), arguments[0].sql)


def _sha2(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    data, bits = arguments
    if bits.literal == "256":
        return f"sha256({data.sql})"
    return scribe.call(sha2(bits.literal or ""), data.sql)


def _format_number(scribe: Scribe, arguments: Sequence[Term], _result: DataType) -> str:
    value, digits = arguments
    return scribe.call(format_number(value.type, int(digits.literal or "0")), value.sql)


def _chained(name: str) -> Print:
    """The hash of each argument, from that of the one before on."""

    def write(scribe: Scribe, arguments: Sequence[Term], result: DataType) -> str:
        found = cast_to("42", result)
        for argument in arguments:
            found = scribe.call(hash_routine(name, argument.type), argument.sql, found)
        return found

    return write


TEXTS: Final[Mapping[str, Print]] = {
    "lower": template("lower({0})"),
    "upper": template("upper({0})"),
    "length": _length,
    "substring": _substring,
    "like": _like,
    "contains": template("contains({0}, {1})"),
    "starts_with": template("starts_with({0}, {1})"),
    "ends_with": template("ends_with({0}, {1})"),
    "replace": template("replace({0}, {1}, {2})"),
    "position": template("CAST(instr({0}, {1}) AS {type})"),
    "trim": _trim("trim"),
    "trim_start": _trim("ltrim"),
    "trim_end": _trim("rtrim"),
    "concat": _concat,
    "pad_start": _pad("lpad"),
    "pad_end": _pad("rpad"),
    "repeat": template("repeat({0}, {1})"),
    "reverse": _reverse,
    "code_point": template("ascii({0})"),
    "character": named(_character),
    "byte_length": template(f"CAST(strlen({{0}}) AS {sql_type(INT32)})"),
    "concat_with": listed("concat_ws"),
    "split_part": named(_split_part),
    "translate": template("translate({0}, {1}, {2})"),
    **{n: called(r) for n, r in ROUTINES.items() if n != "reverse"},
    "format_number": _format_number,
    "matches": _matches,
    "regex_extract": _extract("regexp_extract"),
    "regex_extract_all": _extract("regexp_extract_all"),
    "regex_replace": _regex_replace,
    "regex_count": _regex_count,
    "split": _split,
    "hex": template("hex({0})"),
    "unhex": named(_unhex),
    "binary_digits": template("bin({0})"),
    "base64": template("base64({0})"),
    "unbase64": template("from_base64({0})"),
    "encode": _encode,
    "decode": _decode,
    "md5": template("md5({0})"),
    "sha1": template("sha1({0})"),
    "sha2": _sha2,
    "murmur3": _chained("murmur3"),
    "xxhash64": _chained("xxhash64"),
}
"""Printers by function."""
