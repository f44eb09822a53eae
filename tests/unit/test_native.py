"""The native kernels against their slow twins, and the binding's checks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mc2 import _native

WORDS = st.integers(0, 2**64 - 1)
EDGES = [0, 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


def words(values):
    return np.array(values, dtype=np.uint64)


@given(st.lists(st.tuples(st.integers(0, 1), WORDS, WORDS), max_size=64))
def test_select_agrees_with_its_slow_twin(rows):
    keep = np.array([r[0] for r in rows], dtype=np.uint8)
    a, b = words([r[1] for r in rows]), words([r[2] for r in rows])
    out = np.empty(len(rows), dtype=np.uint64)
    _native.select(keep, a, b, out)
    assert out.tolist() == [x if k else y for k, x, y in rows]


@given(
    st.lists(st.tuples(WORDS | st.sampled_from(EDGES), WORDS | st.sampled_from(EDGES)), max_size=64)
)
def test_comparisons_agree_with_their_slow_twins(rows):
    a, b = words([r[0] for r in rows]), words([r[1] for r in rows])
    out = np.empty(len(rows), dtype=np.uint8)
    _native.less(a, b, out)
    assert out.tolist() == [int(x < y) for x, y in rows]
    _native.equal(a, b, out)
    assert out.tolist() == [int(x == y) for x, y in rows]


def test_every_pair_of_edges():
    pairs = [(x, y) for x in EDGES for y in EDGES]
    a, b = words([p[0] for p in pairs]), words([p[1] for p in pairs])
    out = np.empty(len(pairs), dtype=np.uint8)
    _native.less(a, b, out)
    assert out.tolist() == [int(x < y) for x, y in pairs]


def test_lengths_must_agree():
    three, four = words([1, 2, 3]), words([1, 2, 3, 4])
    with pytest.raises(ValueError, match="one length"):
        _native.less(three, four, np.empty(3, dtype=np.uint8))
    with pytest.raises(ValueError, match="one length"):
        _native.select(np.zeros(3, dtype=np.uint8), three, three, four)


def test_other_types_are_not_converted_silently():
    with pytest.raises(TypeError):
        _native.less([1], [2], np.empty(1, dtype=np.uint8))
    with pytest.raises(TypeError):
        _native.less(np.array([1.0]), np.array([2.0]), np.empty(1, dtype=np.uint8))


def test_the_checked_in_stub_names_every_function():
    import mc2

    stub = (Path(mc2.__file__).parent / "_native" / "kernels.pyi").read_text()
    compiled = {n for n in dir(_native.kernels) if not n.startswith("_")}
    assert compiled == set(_native.__all__)
    assert all(f"def {name}(" in stub for name in compiled)
