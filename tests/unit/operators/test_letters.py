"""Letters by Unicode: what the engine of encrypted mode says of every code point."""

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.secrets import everywhere, secret, values

from mc2.engine.routines_texts import TEXTS as ROUTINES
from mc2.errors import EngineError
from mc2.operators import letters
from mc2.operators.handles import Layout, SecretColumn, known_of, words_of
from mc2.operators.run import Run
from mc2.plan.oblivious_texts import cased_bytes
from mc2.plan.types import STRING

POINTS = [*range(0xD800), *range(0xE000, 0x110000)]
SPECIAL = "aZ \0éßẞıİKÅȺɐΣσςǆǅŉﬁ𐐀𐐨𞤀𞤢日😀ᾀᲐა"  # noqa: RUF001 - letters that look alike
LONGEST = 8


def in_engine(function, texts):
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {function}(t) FROM (SELECT unnest($1) AS t, unnest($2) AS i) ORDER BY i",
            [texts, list(range(len(texts)))],
        )
        return [text for (text,) in found.fetchall()]


def by_rules(rules):
    found = {}
    for first, last, stride, delta in rules:
        found |= {point: point + delta for point in range(first, last + 1, stride)}
    return found


@pytest.mark.parametrize("function", ["lower", "upper"])
def test_rules_are_the_engines_for_every_code_point(function):
    made = in_engine(function, [chr(point) for point in POINTS])
    pairs = zip(POINTS, made, strict=True)
    changed = {point: ord(text) for point, text in pairs if text != chr(point)}
    assert by_rules(getattr(letters, function.upper())) == changed
    assert letters.rules_of(changed) == getattr(letters, function.upper())
    assert grow_by_half_at_most(changed)


def grow_by_half_at_most(changed):
    sizes = [(len(chr(old).encode()), len(chr(new).encode())) for old, new in changed.items()]
    return all(2 * new <= 3 * old and (new == 4) == (old == 4) for old, new in sizes)


@pytest.mark.parametrize("change", [str.title, str.lower])
def test_rules_of_capitals_are_pythons_for_every_code_point(change):
    changed = {
        point: ord(made)
        for point in POINTS
        if len(made := change(chr(point))) == 1 and made != chr(point)
    }
    assert max(changed) < 0x20000
    assert grow_by_half_at_most(changed)


def column_of(texts, width):
    return secret(Layout(STRING, width), [None if t is None else t.encode() for t in texts])


def compute(function, texts, width):
    run, column = Run(), column_of(texts, width)
    found = values(getattr(letters, function)(run, column, everywhere(column)))
    run.finish()
    return [None if raw is None else raw.decode() for raw in found]


def capitals(texts):
    return ROUTINES["capitalize"].compute(pa.array(texts, pa.string())).to_pylist()


@given(
    st.lists(
        st.none()
        | st.text(st.sampled_from(SPECIAL) | st.characters(codec="utf-8"), max_size=LONGEST),
        min_size=1,
        max_size=70,
    ),
    st.sampled_from([32, 37, 64, 200]),
)
def test_texts_change_as_in_encrypted_mode(texts, width):
    for function in ("lower", "upper"):
        assert compute(function, texts, width) == in_engine(function, texts)
    assert compute("capitalize", texts, width) == capitals(texts)


@pytest.mark.parametrize("text", ["ɐ" * 338, "z" * 1016, "ß" * 60 + "a" * 836])
def test_long_texts_grow_up_to_what_texts_may_have(text):
    assert compute("upper", [text], 1016) == in_engine("upper", [text])


def test_a_text_that_grows_beyond_fails_the_job():
    run, column = Run(), column_of(["ɐ" * 339], 1016)
    letters.upper(run, column, everywhere(column))
    with pytest.raises(EngineError, match="bound"):
        run.finish()


def test_known_ascii_takes_no_tables():
    run, column = Run(record=True), column_of(["Ab"], 2)
    declared = SecretColumn(
        column.layout, words_of(column), known_of(column), None, (b"Ab", b"cd"),
        words_of(column)[:, -1] * 0,
    )  # fmt: skip
    assert values(letters.upper(run, declared, everywhere(column))) == [b"AB"]
    assert [name for name, _ in run.calls if name == "map_letters"] == []


def test_sizes_grow_by_half():
    assert [cased_bytes(n) for n in (1, 2, 3, 677, 1016)] == [1, 3, 4, 1015, 1016]
