from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2.errors import FormatError
from mc2.formats.fields import (
    Fields,
    check_dataset_name,
    check_name,
    check_sorted_unique,
    from_base64,
    from_time,
    text_item,
    to_base64,
    to_time,
)


def test_every_field_is_read_once_and_none_is_left():
    fields = Fields({"a": 1, "b": "x"}, "a thing")
    assert fields.integer("a", 0, 9) == 1
    with pytest.raises(FormatError, match="has no field 'a'"):
        fields.integer("a", 0, 9)
    with pytest.raises(FormatError, match="not known: 'b'"):
        fields.done()


@pytest.mark.parametrize(
    ("method", "arguments", "wrong"),
    [
        ("text", (3,), ["abcd", 1, None]),
        ("choice", (("x", "y"),), ["z", 1, ["x"]]),
        ("integer", (0, 5), [6, -1, True, "1", None]),
        ("boolean", (), [0, "true", None]),
        ("name", (), ["A", "", "a b", "1a", "a" * 64, "a\n", "é"]),
        ("dataset", (), ["a", "a.b.c", ".b", "a.", "a.b\n", "A.b"]),
        ("digest", (), ["sha256:00", "", "sha256:" + "G" * 64]),
        ("hex", (2,), ["00", "0000\n", "00AA", "gggg", "000000"]),
        ("base64", (8,), ["AA", "AA=", "AB==", "A A=", "AAAA\n", "é", "AAAAAAAAAAAAAAAA"]),
        ("time", (), ["2026-01-01", "2026-01-01T00:00:00+00:00", "2026-1-1T00:00:00Z", "x"]),
        ("fields", (), [[], "x", None]),
        ("items", (1, text_item("x", check_name)), [["a", "b"], {}, [1], ["A"]]),
    ],
)
def test_wrong_values_are_format_errors(method, arguments, wrong):
    for value in wrong:
        fields = Fields({"f": value}, "a thing")
        with pytest.raises(FormatError):
            getattr(fields, method)("f", *arguments)


def test_optional_takes_null_or_the_real_thing_but_not_nothing():
    fields = Fields({"a": None, "b": "name"}, "a thing")
    assert fields.optional("a", fields.name) is None
    assert fields.optional("b", fields.name) == "name"
    with pytest.raises(FormatError):
        fields.optional("c", fields.name)


@given(st.binary(max_size=100))
def test_base64_has_one_spelling(raw):
    text = to_base64(raw)
    assert from_base64(text, "x") == raw
    if raw:
        with pytest.raises(FormatError):
            from_base64(text + "\n", "x")
        with pytest.raises(FormatError):
            from_base64(text.rstrip("=") + "=" * (3 - len(text) + len(text.rstrip("="))), "x")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1)))  # noqa: DTZ001 - hypothesis wants naive
def test_times_round_to_seconds_and_come_back(moment):
    moment = moment.replace(tzinfo=UTC, microsecond=0)
    assert from_time(to_time(moment), "x") == moment
    elsewhere = moment.astimezone(timezone(timedelta(hours=5)))
    assert to_time(elsewhere) == to_time(moment)


def test_names():
    assert check_name("clinic_a", "x") == "clinic_a"
    assert check_dataset_name("clinic_a.visits", "x") == "clinic_a.visits"
    check_sorted_unique(("a", "b"), "x")
    for wrong in (("b", "a"), ("a", "a")):
        with pytest.raises(FormatError):
            check_sorted_unique(wrong, "x")
