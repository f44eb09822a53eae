"""The kernels for logic, dates and texts against Python's own."""

import datetime as dt
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2 import _native

BOUND_EXCEEDED, BAD_CAST, OUT_OF_DOMAIN = 4, 16, 32
EPOCH = dt.date(1970, 1, 1)
DAYS = st.dates().map(lambda d: (d - EPOCH).days)
MARKS = st.integers(0, 1)
TEXT_BYTES = 24


@pytest.fixture(params=[i for i in ("portable", "avx2") if _native.isa_supported(i)], autouse=True)
def isa(request):
    before = _native.isa()
    _native.use_isa(request.param)
    yield request.param
    _native.use_isa(before)


def marks(values):
    return np.array(values, dtype=np.uint8)


def words(values):
    return np.array([v % 2**64 for v in values], dtype=np.uint64)


def signed(array):
    return array.view(np.int64).tolist()


def no_flags():
    return np.zeros(1, dtype=np.uint64)


def texts(values, size=TEXT_BYTES):
    """Rows as the kernels take them: bytes, eight to a word, then the length."""
    rows = np.zeros((len(values), size // 8 + 1), dtype=np.uint64)
    for row, value in zip(rows, values, strict=True):
        raw = value.encode()
        assert len(raw) <= size
        row[:-1] = np.frombuffer(raw.ljust(size, b"\0"), dtype=">u8")
        row[-1] = len(raw)
    return rows


def untexts(rows):
    found = []
    for row in rows:
        raw = row[:-1].astype(">u8").tobytes()
        length = int(row[-1])
        assert raw[length:].strip(b"\0") == b"", "what is after the text is not zero"
        found.append(raw[:length].decode())
    return found


# --- logic


@pytest.mark.parametrize("a", [True, False, None])
@pytest.mark.parametrize("b", [True, False, None])
def test_three_valued_logic(a, b):
    both = None if None in (a, b) else a and b
    conjunction = False if a is False or b is False else both
    one = None if None in (a, b) else a or b
    disjunction = True if a is True or b is True else one
    for kernel, expected in ((_native.and_known, conjunction), (_native.or_known, disjunction)):
        for a_junk, b_junk in ((0, 0), (1, 1)):  # what an unknown value holds must not matter
            out, known = marks([9]), marks([9])
            kernel(
                marks([a_junk if a is None else a]), marks([a is not None]),
                marks([b_junk if b is None else b]), marks([b is not None]), out, known,
            )  # fmt: skip
            assert known.tolist() == [int(expected is not None)]
            assert out.tolist() == [int(expected is True)]


@given(st.lists(st.tuples(MARKS, MARKS, MARKS), max_size=70))
def test_marks(rows):
    a, b, c = (marks([r[i] for r in rows]) for i in range(3))
    out = np.empty_like(a)
    _native.and_marks(a, b, out)
    assert out.tolist() == [x & y for x, y, _ in rows]
    _native.or_marks(a, b, out)
    assert out.tolist() == [x | y for x, y, _ in rows]
    _native.not_marks(a, out)
    assert out.tolist() == [1 - x for x, _, _ in rows]
    _native.select_marks(a, b, c, out)
    assert out.tolist() == [y if x else z for x, y, z in rows]
    as_words = np.empty(len(rows), dtype=np.uint64)
    _native.marks_to_words(a, as_words)
    assert as_words.tolist() == a.tolist()
    _native.words_to_marks(as_words + np.uint64(4), out)
    assert out.tolist() == a.tolist()
    flags = no_flags()
    _native.raise_flag(a, 8, flags)
    assert int(flags[0]) == (8 if any(a.tolist()) else 0)


@given(st.data(), st.integers(1, 6), st.integers(0, 20))
def test_rows_of_words(data, width, count):
    row = st.lists(st.sampled_from([0, 1, 2**63, 2**64 - 1]), min_size=width, max_size=width)
    a, b = (data.draw(st.lists(row, min_size=count, max_size=count)) for _ in range(2))
    keep = data.draw(st.lists(MARKS, min_size=count, max_size=count))
    shape = (count, width)
    x, y = (np.array(v, dtype=np.uint64).reshape(shape) for v in (a, b))
    out, found = np.empty(shape, dtype=np.uint64), np.empty(count, dtype=np.uint8)
    _native.select_rows(marks(keep), x, y, out)
    assert out.tolist() == [p if k else q for k, p, q in zip(keep, a, b, strict=True)]
    _native.clear_rows(marks(keep), x, out)
    assert out.tolist() == [p if k else [0] * width for k, p in zip(keep, a, strict=True)]
    _native.equal_rows(x, y, found)
    assert found.tolist() == [int(p == q) for p, q in zip(a, b, strict=True)]
    _native.less_rows(x, y, found)
    assert found.tolist() == [int(p < q) for p, q in zip(a, b, strict=True)]
    if count:
        _native.less_rows(x, y[:1].copy(), found)
        assert found.tolist() == [int(p < b[0]) for p in a]


# --- dates


def date(day):
    return EPOCH + dt.timedelta(days=day)


def days(value):
    return (value - EPOCH).days


def last_of_month(value):
    following = value.replace(day=28) + dt.timedelta(days=4)
    return following - dt.timedelta(days=following.day)


@given(st.lists(DAYS.filter(lambda d: d < 2_900_000), min_size=1, max_size=20))
def test_fields_and_units_of_dates(values):
    out = np.empty(len(values), dtype=np.uint64)
    fields = (
        lambda d: d.year, lambda d: (d.month + 2) // 3, lambda d: d.month, lambda d: d.day,
        lambda d: d.isoweekday() % 7 + 1, lambda d: d.timetuple().tm_yday, lambda d: d.isocalendar()[1],
    )  # fmt: skip
    for what, field in enumerate(fields):
        _native.date_field(what, words(values), out)
        assert signed(out) == [field(date(v)) for v in values]
    units = (
        lambda d: d.replace(month=1, day=1), lambda d: d.replace(month=(d.month - 1) // 3 * 3 + 1, day=1),
        lambda d: d.replace(day=1),
    )  # fmt: skip
    for unit, start in enumerate(units):
        _native.truncate_date(unit, words(values), out)
        assert signed(out) == [days(start(date(v))) for v in values]
    _native.truncate_date(3, words(values), out)
    assert signed(out) == [v - date(v).weekday() for v in values]
    _native.last_day(words(values), out)
    assert signed(out) == [days(last_of_month(date(v))) for v in values]


@given(st.integers(-(2**31), 2**31 - 1))
def test_dates_beyond_pythons_calendar_keep_its_period(day):
    # 400 years are 146,097 days: a date is what it is so many periods later, but for its year.
    period = 146_097
    shifts = (day - 700_000) // period
    near_date, out = date(day - shifts * period), np.empty(1, dtype=np.uint64)
    _native.date_field(0, words([day]), out)
    assert signed(out) == [near_date.year + 400 * shifts]
    _native.date_field(3, words([day]), out)
    assert signed(out) == [near_date.day]


@given(DAYS.filter(lambda d: abs(d) < 600_000), st.integers(-1000, 1000))
def test_months_later(day, months):
    out = np.empty(1, dtype=np.uint64)
    _native.add_months(words([day]), words([months]), out)
    start = date(day)
    place = start.year * 12 + start.month - 1 + months
    first = start.replace(year=place // 12, month=place % 12 + 1, day=1)
    expected = first.replace(day=min(start.day, last_of_month(first).day))
    assert signed(out) == [days(expected)]


@given(st.integers(1, 9999), st.integers(-2, 15), st.integers(-2, 33), MARKS)
def test_dates_from_their_fields(year, month, day, counts):
    out, flags = np.empty(1, dtype=np.uint64), no_flags()
    _native.make_date(words([year]), words([month]), words([day]), marks([counts]), out, flags)
    try:
        expected = days(dt.date(year, month, day))
    except ValueError:
        assert int(flags[0]) == (BAD_CAST if counts else 0)
    else:
        assert (signed(out), int(flags[0])) == ([expected], 0)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9), st.integers(2, 2**64 - 1))
def test_division_by_public_numbers(values, divisor):
    out = np.empty(len(values), dtype=np.uint64)
    _native.floor_divide(words(values), divisor, out)
    assert signed(out) == [v // divisor for v in values]
    _native.modulo(words(values), divisor, out)
    assert out.tolist() == [v % divisor for v in values]


# --- texts

ASCII = st.text(st.sampled_from("abAB z%_!~0"), max_size=TEXT_BYTES)
ANY = st.text(max_size=TEXT_BYTES // 4)
CHARACTERS = st.text(st.sampled_from("ab%\u00e9\u20ac\U0001f600"), max_size=TEXT_BYTES // 4)
"""Characters of one byte to four."""
PATTERN = st.lists(
    st.sampled_from(["a", "b", "ab", " ", "%", "_", "%%", "z", "\u00e9", "\u20ac"]), max_size=7
).map("".join)


def steps_of(pattern):
    kinds = {"_": (1, 0), "%": (2, 0)}
    return [
        s for c in pattern for s in ([kinds[c]] if c in kinds else [(0, b) for b in c.encode()])
    ]


def expression_of(pattern):
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def likes(values, pattern, size=TEXT_BYTES):
    out = np.empty(len(values), dtype=np.uint8)
    _native.like(texts(values, size), steps_of(pattern), out)
    return out.tolist()


@given(st.lists(st.one_of(ASCII, CHARACTERS), min_size=1, max_size=8), PATTERN)
def test_patterns(values, pattern):
    expected = [int(bool(expression_of(pattern).fullmatch(v))) for v in values]
    assert likes(values, pattern) == expected


@pytest.mark.parametrize("size", [8, 56, 64, 120, 128, 248, 256, 1016])
def test_patterns_over_all_widths(size):
    full = ("xy" * size)[: size - 2] + "ab"
    cases = {
        "%ab": 1,
        "x%": 1,
        "%b": 1,
        "%a": 0,
        full: 1,
        full[:-1]: 0,
        f"{full}%": 1,
        "%": 1,
        "": 0,
        "%abc%": 0,
    }
    for pattern, expected in cases.items():
        assert likes([full], pattern, size) == [expected], pattern
    assert likes([full], "_" * size, size) == [1]
    assert likes([full], "_" * (size - 1), size) == [0]
    assert likes(["", "a"], "", size) == [1, 0]


def test_zeros_in_a_text_are_bytes_and_those_after_it_are_not():
    assert likes(["a\0", "a"], "a\0") == [1, 0]
    assert likes(["a\0", "a"], "a_") == [1, 0]
    assert likes(["a\0", "a"], "%\0%") == [1, 0]


@given(st.lists(ANY, min_size=1, max_size=6))
def test_texts_beyond_ascii(values):
    assert likes(values, "%é%") == [int("é" in v) for v in values]
    for count in range(4):
        assert likes(values, "_" * count) == [int(len(v) == count) for v in values]
        assert likes(values, "%" + "_" * count) == [int(len(v) >= count) for v in values]
    out = np.empty(len(values), dtype=np.uint64)
    _native.count_characters(texts(values), out)
    assert out.tolist() == [len(v) for v in values]


@given(st.lists(st.one_of(ASCII, ANY), min_size=1, max_size=6))
def test_letter_case(values):
    rows, flags = texts(values), no_flags()
    out = np.empty_like(rows)
    plain = all(v.isascii() for v in values)
    for lower in (True, False):
        _native.change_case(lower, rows, marks([1] * len(values)), out, flags)
        assert int(flags[0]) == (0 if plain else OUT_OF_DOMAIN)
        if plain:
            assert untexts(out) == [v.lower() if lower else v.upper() for v in values]


@given(
    st.lists(st.one_of(ASCII, CHARACTERS), min_size=1, max_size=6),
    st.integers(-30, 30),
    st.integers(0, 30),
)
def test_substrings_and_reversals(values, start, count):
    rows = texts(values)
    out = np.empty_like(rows)
    _native.substring(rows, start, count, out)
    expected = []
    for value in values:
        first = len(value) + start if start < 0 else max(start - 1, 0)
        expected.append(value[max(first, 0) : max(first + count, 0)])
    assert untexts(out) == expected
    _native.reverse(rows, out)
    assert untexts(out) == [v[::-1] for v in values]


@given(st.lists(st.one_of(ASCII, ANY), min_size=1, max_size=6))
def test_spaces_are_trimmed(values):
    rows = texts(values)
    out = np.empty_like(rows)
    for start, end, trim in ((1, 1, str.strip), (1, 0, str.lstrip), (0, 1, str.rstrip)):
        _native.trim(rows, bool(start), bool(end), out)
        assert untexts(out) == [trim(v, " ") for v in values]


@given(st.lists(st.tuples(ASCII, ASCII), min_size=1, max_size=6), st.sampled_from([24, 40, 48]))
def test_texts_one_after_the_other(pairs, size):
    out, flags = np.empty((len(pairs), size // 8 + 1), dtype=np.uint64), no_flags()
    a, b = texts([p[0] for p in pairs]), texts([p[1] for p in pairs])
    _native.concat(a, b, marks([1] * len(pairs)), out, flags)
    fits = [len(p + q) <= size for p, q in pairs]
    assert int(flags[0]) == (0 if all(fits) else BOUND_EXCEEDED)
    for (p, q), fit, row in zip(pairs, fits, out, strict=True):
        assert not fit or untexts([row]) == [p + q]


def test_shapes_are_checked():
    rows, one = texts(["a"]), marks([1])
    with pytest.raises(ValueError, match="1016 bytes"):
        _native.trim(
            np.zeros((1, 1), dtype=np.uint64), True, True, np.zeros((1, 1), dtype=np.uint64)
        )
    with pytest.raises(ValueError, match="a step"):
        _native.like(rows, [(3, 0)], one)
    with pytest.raises(ValueError, match="one width"):
        _native.trim(rows, True, True, np.zeros((1, 3), dtype=np.uint64))
    with pytest.raises(ValueError, match="at least 2"):
        _native.floor_divide(words([1]), 1, words([0]))
    with pytest.raises(ValueError, match="as many rows"):
        _native.less_rows(texts(["a", "b"]), texts(["a", "b", "c"]), marks([0, 0]))
