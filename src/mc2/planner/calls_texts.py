"""Spark's functions of text and bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.errors import PlanError
from mc2.plan.functions_texts import CHARSETS
from mc2.plan.types import BINARY, INT32, INT64, STRING, as_decimal, is_integer
from mc2.planner.call_rules import (
    MANY,
    Arguments,
    Build,
    Columns,
    Rule,
    apply,
    as_bytes,
    as_text,
    choose,
    integer_literal,
    number,
    signed,
    text,
    text_literal,
)
from mc2.planner.typed import NULL, Typed, arithmetic, constant, convert, unify

_LONGEST_TEXT: Final = 2**31 - 1


def _substring(arguments: Arguments, columns: Columns) -> Typed:
    length = arguments[2] if len(arguments) == 3 else number(_LONGEST_TEXT)
    return signed("substring").build([*arguments[:2], length], columns)


def _left(arguments: Arguments, columns: Columns) -> Typed:
    return _substring([arguments[0], number(1), arguments[1]], columns)


def _right(arguments: Arguments, columns: Columns) -> Typed:
    """The last characters: from `-n` on, and nothing for n of zero and below."""
    value, many = as_text(arguments[0], columns), convert(arguments[1], INT32, columns)
    from_end = apply("negate", [many], columns)
    found = _substring([value, from_end], columns)
    some = apply("gt", [many, number(0)], columns)
    none = choose(
        [(apply("is_not_null", [value], columns), text(""))], constant(None, STRING), columns
    )
    known = apply("is_null", [many], columns)
    return choose([(some, found), (known, constant(None, STRING))], none, columns)


def _trim(function: str) -> Rule:
    """`trim(text)`; the form with characters is `trim(characters FROM text)`."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        return signed(function).build(arguments[::-1], columns)

    return Rule(1, 2, build)


def trim(where: str, taken: Typed | None, value: Typed, columns: Columns) -> Typed:
    """`trim(BOTH characters FROM text)` and the like."""
    function = {"LEADING": "trim_start", "TRAILING": "trim_end"}.get(where, "trim")
    values = [value] if taken is None else [value, taken]
    return signed(function).build(values, columns)


def _position(*, needle_first: bool) -> Rule:
    """`locate` and `position`; with a third argument from that place on."""

    def build(arguments: Arguments, columns: Columns) -> Typed:
        needle, value = arguments[:2] if needle_first else arguments[1::-1]
        value, needle = as_text(value, columns), as_text(needle, columns)
        if len(arguments) == 2:
            return apply("position", [value, needle], columns)
        start = convert(arguments[2], INT32, columns)
        rest = _substring([value, start], columns)
        found = apply("position", [rest, needle], columns)
        before = apply("subtract", [start, number(1)], columns)
        shifted = apply("add", [found, before], columns)
        inside = [
            apply("ge", [start, number(1)], columns),
            apply("gt", [found, number(0)], columns),
        ]
        unknown = apply("is_null", [found], columns)
        both = apply("and", inside, columns)
        nothing = [apply("eq", [needle, text("")], columns), inside[0]]
        branches = [
            (unknown, constant(None, INT32)),
            (apply("and", nothing, columns), number(1)),
            (both, shifted),
        ]
        return choose(branches, number(0), columns)

    return Rule(2, 3 if needle_first else 2, build)


def _concat(arguments: Arguments, columns: Columns) -> Typed:
    known = [a for a in arguments if not a.untyped]
    if known and all(a.type == BINARY for a in known):
        values = [convert(a, BINARY, columns) for a in arguments]
    elif known and all(a.type.name == "list" for a in known):
        values = list(unify(arguments, columns))
    else:
        values = [as_text(a, columns) for a in arguments]
    return values[0] if len(values) == 1 else apply("concat", values, columns)


def _concat_with(arguments: Arguments, columns: Columns) -> Typed:
    mark, *rest = arguments
    if any(a.type.name == "list" for a in rest):
        if len(rest) != 1:
            raise PlanError("concat_ws takes one array, or texts", hint="use array_join for each")
        found = signed("list_join").build([rest[0], mark], columns)
        absent = [apply("is_null", [rest[0]], columns), apply("is_not_null", [mark], columns)]
        return choose([(apply("and", absent, columns), text(""))], found, columns)
    if not rest:
        shown = as_text(mark, columns)
        return choose([(apply("is_not_null", [shown], columns), text(""))], NULL, columns)
    return apply("concat_with", [as_text(a, columns) for a in arguments], columns)


def _length(arguments: Arguments, columns: Columns) -> Typed:
    value = arguments[0]
    shown = value if value.type == BINARY else as_text(value, columns)
    return apply("length", [shown], columns)


def _octets(bits: int) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        value = arguments[0]
        name = "length" if value.type == BINARY else "byte_length"
        shown = value if value.type == BINARY else as_text(value, columns)
        found = apply(name, [shown], columns)
        return found if bits == 1 else apply("multiply", [found, number(bits)], columns)

    return Rule(1, 1, build)


def _space(arguments: Arguments, columns: Columns) -> Typed:
    return signed("repeat").build([text(" "), arguments[0]], columns)


def _overlay(arguments: Arguments, columns: Columns) -> Typed:
    value, new = (as_text(a, columns) for a in arguments[:2])
    start = convert(arguments[2], INT32, columns)
    length = apply("length", [new], columns)
    if len(arguments) == 4:
        given = convert(arguments[3], INT32, columns)
        fixed = given.literal is not None and integer_literal(given, "the length") >= 0
        covers = apply("ge", [given, number(0)], columns)
        length = given if fixed else choose([(covers, given)], length, columns)
    before = _substring([value, number(1), apply("subtract", [start, number(1)], columns)], columns)
    after = _substring([value, apply("add", [start, length], columns)], columns)
    return apply("concat", [before, new, after], columns)


def _elt(arguments: Arguments, columns: Columns) -> Typed:
    place = convert(arguments[0], INT32, columns)
    values = [as_text(a, columns) for a in arguments[1:]]
    last = len(values)
    inside = apply("element", [apply("list", values, columns), place], columns)
    positive = apply("gt", [place, number(0)], columns)
    return choose([(positive, inside)], constant(None, STRING), columns) if last else inside


def _pattern(function: str, *defaults: Typed) -> Rule:
    inner = signed(function, *defaults)

    def build(arguments: Arguments, columns: Columns) -> Typed:
        text_literal(arguments[1], "the pattern", "^[0-9]+$")
        return inner.build(arguments, columns)

    return Rule(inner.least, inner.most, build)


def _charset(function: str) -> Rule:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        given = text_literal(arguments[1], "the character set", "UTF-8").upper()
        if given not in CHARSETS:
            raise PlanError(
                f"there is no character set {given!r} here", hint=f"one of {', '.join(CHARSETS)}"
            )
        first = as_text if function == "encode" else as_bytes
        return apply(function, [first(arguments[0], columns), text(given)], columns)

    return Rule(2, 2, build)


def _sha2(arguments: Arguments, columns: Columns) -> Typed:
    bits = integer_literal(arguments[1], "the bits of sha2") or 256
    return apply("sha2", [as_bytes(arguments[0], columns), number(bits)], columns)


def _hex(arguments: Arguments, columns: Columns) -> Typed:
    value = arguments[0]
    if value.type not in (STRING, BINARY):
        value = convert(value, INT64, columns)
    return apply("hex", [value], columns)


def _format_number(arguments: Arguments, columns: Columns) -> Typed:
    digits = integer_literal(arguments[1], "the digits of format_number")
    value = arithmetic(arguments[:1], columns)[0]
    if is_integer(value.type):
        value = convert(value, as_decimal(value.type), columns)
    return signed("format_number").build([value, number(digits)], columns)


def _levenshtein(arguments: Arguments, columns: Columns) -> Typed:
    found = signed("levenshtein").build(arguments[:2], columns)
    if len(arguments) == 2:
        return found
    limit = convert(arguments[2], INT32, columns)
    return choose([(apply("gt", [found, limit], columns), number(-1))], found, columns)


def _replace(arguments: Arguments, columns: Columns) -> Typed:
    new = arguments[2] if len(arguments) == 3 else text("")
    return signed("replace").build([*arguments[:2], new], columns)


def _ascii(arguments: Arguments, columns: Columns) -> Typed:
    return signed("code_point").build(arguments, columns)


def _hash(function: str) -> Build:
    def build(arguments: Arguments, columns: Columns) -> Typed:
        return apply(function, [convert(a, a.type, columns) for a in arguments], columns)

    return build


TEXTS: Final[Mapping[str, Rule]] = {
    "lower": signed("lower"),
    "lcase": signed("lower"),
    "upper": signed("upper"),
    "ucase": signed("upper"),
    "initcap": signed("capitalize"),
    "trim": _trim("trim"),
    "ltrim": _trim("trim_start"),
    "rtrim": _trim("trim_end"),
    "btrim": signed("trim"),
    "lpad": signed("pad_start", text(" "), least=2),
    "rpad": signed("pad_end", text(" "), least=2),
    "repeat": signed("repeat"),
    "space": Rule(1, 1, _space),
    "length": Rule(1, 1, _length),
    "len": Rule(1, 1, _length),
    "char_length": Rule(1, 1, _length),
    "character_length": Rule(1, 1, _length),
    "octet_length": _octets(1),
    "bit_length": _octets(8),
    "substring": Rule(2, 3, _substring),
    "substr": Rule(2, 3, _substring),
    "substring_index": signed("substring_index"),
    "left": Rule(2, 2, _left),
    "right": Rule(2, 2, _right),
    "overlay": Rule(3, 4, _overlay),
    "concat": Rule(1, MANY, _concat),
    "concat_ws": Rule(1, MANY, _concat_with),
    "contains": signed("contains"),
    "startswith": signed("starts_with"),
    "endswith": signed("ends_with"),
    "replace": Rule(2, 3, _replace),
    "translate": signed("translate"),
    "instr": _position(needle_first=False),
    "locate": _position(needle_first=True),
    "position": _position(needle_first=True),
    "find_in_set": signed("find_in_set"),
    "elt": Rule(2, MANY, _elt),
    "ascii": Rule(1, 1, _ascii),
    "chr": signed("character"),
    "char": signed("character"),
    "levenshtein": Rule(2, 3, _levenshtein),
    "soundex": signed("soundex"),
    "format_number": Rule(2, 2, _format_number),
    "regexp": _pattern("matches"),
    "regexp_like": _pattern("matches"),
    "rlike": _pattern("matches"),
    "regexp_extract": _pattern("regex_extract", number(1)),
    "regexp_extract_all": _pattern("regex_extract_all", number(1)),
    "regexp_replace": _pattern("regex_replace"),
    "regexp_count": _pattern("regex_count"),
    "split": _pattern("split", number(-1)),
    "split_part": signed("split_part"),
    "hex": Rule(1, 1, _hex),
    "unhex": signed("unhex"),
    "bin": signed("binary_digits"),
    "base64": signed("base64"),
    "unbase64": signed("unbase64"),
    "encode": _charset("encode"),
    "md5": signed("md5"),
    "sha": signed("sha1"),
    "sha1": signed("sha1"),
    "sha2": Rule(2, 2, _sha2),
    "crc32": signed("crc32"),
    "hash": Rule(1, MANY, _hash("murmur3")),
    "xxhash64": Rule(1, MANY, _hash("xxhash64")),
}
"""Rules by Spark's name."""

DECODE_BYTES: Final = _charset("decode")
"""`decode` with two arguments; with more it is a choice."""
