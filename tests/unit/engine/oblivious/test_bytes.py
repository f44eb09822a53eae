"""Functions of bytes, hashes and likeness in oblivious mode: what the encrypted engine gives."""

import hashlib
import zlib
from datetime import UTC, date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.differential import rows_of
from tests.support.oblivious import run_obliviously
from tests.support.oblivious_plans import both_ways, obliviously
from tests.support.plans import Job, Source, schema

from mc2.errors import EngineError, PlanError
from mc2.plan.expressions import Cast, ColumnRef, call, literal
from mc2.plan.functions_texts import CHARSETS
from mc2.plan.oblivious_bytes import BYTES
from mc2.plan.relations import NamedExpression, Project
from mc2.plan.types import BINARY, INT32, STRING

KINDS = schema(
    s="string", t="string", x="binary", i="int64", j="int32", k="int8", b="boolean", d="date",
    ts="timestamp", u="timestamp_utc", n="decimal(9,2)", w="decimal(38,10)", r="double", f="float",
    l="list<string>", m="list<decimal(20,1)>", o="struct<a:int64,b:list<int32>>",
)  # fmt: skip
VALUES = [ColumnRef(c.name) for c in KINDS.columns]
S, T, X, A = VALUES[:4]
CHARACTERS = "aZ9,= \u00e9\u00ff\u20ac\u0131\u017f\ud7ff\ue000\U0001f600\U0010ffff\0"
TEXTS = st.text(st.sampled_from(CHARACTERS), max_size=9)
NAMES = st.text(st.sampled_from("aAbBhHwWtTmMrR .\u00e9\u017f\u00df"), max_size=9)
MOMENTS = st.datetimes()
WIDE = st.decimals(
    -(10**28) + 1, 10**28 - 1, places=10, allow_nan=False, allow_infinity=False
)  # fmt: skip


def rows_drawn():
    whole = [st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (64, 32, 8)]
    parts = st.fixed_dictionaries(
        {"a": st.none() | whole[0], "b": st.none() | st.lists(st.none() | whole[1], max_size=3)}
    )
    tenths = st.decimals(-(10**18), 10**18, places=1)
    kinds = [
        TEXTS, TEXTS | NAMES, st.binary(max_size=40), *whole, st.booleans(), st.dates(),
        MOMENTS, MOMENTS.map(lambda m: m.replace(tzinfo=UTC)),
        st.decimals(-(10**6), 10**6, places=2), WIDE, st.floats(), st.floats(width=32),
        st.lists(st.none() | TEXTS, max_size=3), st.lists(st.none() | tenths, max_size=3), parts,
    ]  # fmt: skip
    return st.lists(st.tuples(*(st.none() | kind for kind in kinds)), min_size=1, max_size=6)


def both(*expressions, rows, kinds=KINDS):
    """The answers of both engines, which are the same."""
    made = Job(t=Source(kinds, rows, bound=0))
    columns = [NamedExpression(f"r{i}", e) for i, e in enumerate(expressions)]
    node = made.add(Project(made.scan("t"), tuple(columns)))
    ((_, fast, slow),) = both_ways(made.plan(out=node), made)
    assert fast.schema == slow.schema
    for name, expression in zip(fast.column_names, expressions, strict=True):
        assert rows_of(fast.select([name])) == rows_of(slow.select([name])), expression
    return slow


def of_bytes(*given):
    return {"rows": [(v,) for v in given], "kinds": schema(x="binary")}


def of_texts(*given):
    return {"rows": [(v,) for v in given], "kinds": schema(s="string")}


def text(value):
    return literal(value, STRING)


def sha2(bits):
    return call("sha2", X, literal(bits, INT32))


EVERY = [
    call("hex", S), call("hex", X), call("hex", A), call("binary_digits", A), call("unhex", T),
    call("unhex", call("hex", X)), call("base64", X), call("unbase64", call("base64", X)),
    call("code_point", S), call("character", A), call("md5", X), call("sha1", X), call("crc32", X),
    *(sha2(bits) for bits in (224, 256, 384, 512)),
    *(call("encode", S, text(c)) for c in ("UTF-8", "UTF-16BE", "UTF-16LE")),
    *(call("decode", call("encode", S, text(c)), text(c)) for c in ("UTF-16BE", "UTF-16LE")),
    call("decode", X, text("ISO-8859-1")), Cast(S, BINARY, strict=True),
    call("encode", call("decode", X, text("ISO-8859-1")), text("ISO-8859-1")),
    Cast(Cast(S, BINARY, strict=True), STRING, strict=True),
    Cast(S, BINARY, strict=False),
    call("levenshtein", S, T), call("soundex", S), call("soundex", T), call("find_in_set", S, T),
]  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(rows_drawn())
def test_bytes_and_hashes_agree(rows):
    hashes = [
        *(call(name, *VALUES) for name in ("murmur3", "xxhash64")),
        *(call(name, value) for name in ("murmur3", "xxhash64") for value in VALUES),
    ]
    both(*EVERY, *hashes, rows=rows)


def test_every_function_is_compared():
    hashed = {"murmur3", "xxhash64"}
    assert {e.function for e in EVERY if not isinstance(e, Cast)} | hashed == BYTES


def test_digests_are_those_of_python_at_every_length():
    given = [bytes((7 * place + size) % 256 for place in range(size)) for size in range(137)]
    found = both(
        call("md5", X), call("sha1", X), *(sha2(n) for n in (224, 256, 384, 512)), call("crc32", X),
        **of_bytes(*given, None, b"\0", bytes(128)),
    )  # fmt: skip
    for place, name in enumerate(("md5", "sha1", "sha224", "sha256", "sha384", "sha512")):
        answers = found[f"r{place}"].to_pylist()
        assert answers[: len(given)] == [hashlib.new(name, data).hexdigest() for data in given]
    assert found["r6"].to_pylist()[: len(given)] == [zlib.crc32(data) for data in given]


def test_digests_of_standards_are_found():
    found = both(call("md5", X), sha2(256), call("crc32", X), **of_bytes(b"abc", b"123456789"))
    assert found["r0"][0].as_py() == "900150983cd24fb0d6963f7d28e17f72"
    assert found["r1"][0].as_py().startswith("ba7816bf8f01cfea414140de5dae2223b00361a3")
    assert found["r2"][1].as_py() == 0xCBF43926


def test_hashes_are_those_of_spark_at_every_length():
    given = [bytes((11 * place + size) % 256 for place in range(size)) for size in range(80)]
    both(call("murmur3", X), call("xxhash64", X, X), **of_bytes(*given, None))


def test_hashes_of_numbers_keep_to_spark_where_numbers_are_special():
    kinds = schema(r="double", f="float", w="decimal(38,0)", d="date")
    edges = [2**127 >> s for s in (0, 1, 7, 8, 9, 64, 120, 127)]
    wide = [Decimal(sign * min(n, 10**38 - 1)) for n in edges for sign in (1, -1)]
    wide += [Decimal(n) for n in (0, -1, 127, 128, -128, -129, 32767, 32768, -32769)]
    special = [0.0, -0.0, float("nan"), -float("nan"), float("inf"), 1e-40, -1.5, None]
    rows = [
        (special[i % 8], special[(i + 3) % 8], value, date(1, 1, 1) if i % 2 else None)
        for i, value in enumerate(wide)
    ]
    columns = [ColumnRef(c.name) for c in kinds.columns]
    names = ("murmur3", "xxhash64")
    calls = [call(name, column) for name in names for column in columns]
    found = both(*calls, *(call(n, *columns) for n in names), rows=rows, kinds=kinds)
    assert found["r0"][0] == found["r0"][1]  # 0.0 and -0.0


@settings(max_examples=15, deadline=None)
@given(st.lists(st.none() | st.text(st.sampled_from("0189afAFgG "), max_size=7), min_size=1))
def test_bytes_are_read_from_hexadecimal_digits_alike(texts):
    both(call("unhex", S), **of_texts(*texts))


BASE64 = ["", "YQ==", "YR==", "YWI=", "YWJj", "ab+/", "YWJjYWI=", "ab=c", "abcdab=d"]
NO_BASE64 = ["a", "ab", "abc", "a===", "====", "=abc", "a=bc", "abcd====", "ab==abcd", "abcd ",
             "ab\n=", "-_-_", "a\u00e9a", "abc=abc=", "ab=!", "abcdab=\0"]  # fmt: skip


def test_base64_is_read_alike():
    both(call("unbase64", S), **of_texts(*BASE64, None))


def fails(expression, rows):
    """Both engines fail."""
    made = Job(t=Source(rows["kinds"], rows["rows"], bound=0))
    node = made.add(Project(made.scan("t"), (NamedExpression("r", expression),)))
    with pytest.raises(EngineError):
        made.run(out=node)
    checked, sources = obliviously(made.plan(out=node), made)
    with pytest.raises(EngineError, match="cannot be converted"):
        run_obliviously(checked, sources)


@pytest.mark.parametrize("value", NO_BASE64)
def test_what_is_no_base64_fails_in_both(value):
    fails(call("unbase64", S), of_texts(value))


@pytest.mark.parametrize(
    ("charset", "value"),
    [("US-ASCII", "\u00e9"), ("ISO-8859-1", "\u0100"), ("ISO-8859-1", "a\U0001f600")],
)
def test_characters_beyond_a_set_fail_in_both(charset, value):
    fails(call("encode", S, text(charset)), of_texts(value))


BROKEN = [
    ("US-ASCII", b"\x80"), ("UTF-16BE", b"a"), ("UTF-16LE", b"\x00\xd8"), ("UTF-16BE", b"\xdc\x00"),
    ("UTF-16BE", b"\xd8\x00\x00a"), ("UTF-16BE", b"\xd8\x00\xd8\x00\xdc\x00"),
    *(("UTF-8", raw) for raw in (
        b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xc3", b"\xc3a", b"\xe0\x9f\xbf", b"\xed\xa0\x80",
        b"\xe2\x82", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xff",
        b"aaaaaaa\xe2", b"\xe2\x82\xac\x80", b"\xf0\x9f\x98",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("charset", "raw"), BROKEN)
def test_bytes_that_are_no_text_fail_in_both(charset, raw):
    fails(call("decode", X, text(charset)), of_bytes(raw))
    if charset == "UTF-8":
        fails(Cast(X, STRING, strict=True), of_bytes(raw))


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(sorted(CHARSETS)), st.lists(st.binary(max_size=9), min_size=1, max_size=8))
def test_bytes_are_text_where_python_says_so(charset, given_bytes):
    good = []
    for raw in given_bytes:
        try:
            raw.decode(CHARSETS[charset])
        except UnicodeError:
            fails(call("decode", X, text(charset)), of_bytes(raw))
        else:
            good.append(raw)
    both(call("decode", X, text(charset)), **of_bytes(*good, None))


def test_bytes_that_are_no_text_are_null_where_that_is_asked_for():
    given_bytes = [raw for charset, raw in BROKEN if charset == "UTF-8"]
    both(Cast(X, STRING, strict=False), **of_bytes(*given_bytes, b"\xe2\x82\xac", None))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.none() | NAMES, st.none() | NAMES), min_size=1, max_size=20))
def test_likeness_agrees(rows):
    kinds = schema(s="string", t="string")
    asked = [call("levenshtein", S, T), call("soundex", S), call("find_in_set", S, T)]
    both(*asked, rows=rows, kinds=kinds)


def test_soundex_codes_are_those_of_the_rules():
    names = ["Robert", "Rupert", "Rubin", "Ashcraft", "Tymczak", "Pfister", "Honeyman", "\u017fmith",
             "\u00dfa", "", " a", "b", "Hhhh", "W1w2", "Lloyd", "a-b-b", "abhb"]  # fmt: skip
    found = both(call("soundex", S), **of_texts(*names))["r0"].to_pylist()
    assert found[:7] == ["R163", "R163", "R150", "A261", "T522", "P236", "H555"]
    assert found[7:9] == names[7:9]  # no letters of ASCII


def test_places_in_lists_count_parts():
    pairs = [
        ("b", "a,b,c"), ("", "a,,b"), ("", ""), ("a", ""), ("a,b", "a,b"), (",", ","), ("", ","),
        ("c", "a,b,c"), ("ab", "abc,ab"), ("\u00e9", "e,\u00e9"), (None, "a"), ("a", None),
        ("a", "a,a"),
    ]  # fmt: skip
    found = both(call("find_in_set", S, T), rows=pairs, kinds=schema(s="string", t="string"))[
        "r0"
    ].to_pylist()
    assert found[:9] == [2, 2, 1, 0, 0, 0, 1, 3, 2]


def test_texts_that_are_too_long_to_compare_are_refused():
    kinds = schema(s="string", t="string")
    made = Job(t=Source(kinds, [("a" * 300, "b" * 300)], bound=0))
    wide = Job(t=Source(kinds, [("a" * 1015, "b")], bound=0))
    for job, function, words in (
        (made, "levenshtein", "300 by 300"), (wide, "find_in_set", "1,014")
    ):  # fmt: skip
        node = job.add(Project(job.scan("t"), (NamedExpression("r", call(function, S, T)),)))
        with pytest.raises(PlanError, match=words) as raised:
            obliviously(job.plan(out=node), job)
        assert "left" in raised.value.hint
