"""Files of secret models: they come back as they were, and nothing else is one."""

import numpy as np
import pytest

from mc2.errors import FormatError
from mc2.formats.secret_model import SecretModelFile

FILE = SecretModelFile(
    "trees",
    {"rates": ["0.5"]},
    {"a": np.arange(3, dtype=np.uint8), "b": np.arange(6, dtype=np.float64).reshape(2, 3)},
)


def test_a_file_comes_back():
    found = SecretModelFile.read(FILE.raw())
    assert (found.family, found.public) == (FILE.family, FILE.public)
    assert found.raw() == FILE.raw()
    assert found.array("b", "f8", 2, 3).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert found.arrays["a"].flags.writeable


def test_how_long_a_file_is_does_not_depend_on_values():
    arrays = {name: np.full_like(array, 200) for name, array in FILE.arrays.items()}
    assert len(SecretModelFile("trees", FILE.public, arrays).raw()) == len(FILE.raw())


@pytest.mark.parametrize(("kind", "shape"), [("f4", (2, 3)), ("f8", (3, 2)), ("f8", (6,))])
def test_an_array_of_another_kind_or_shape_is_refused(kind, shape):
    with pytest.raises(FormatError, match="of the shape that it must have"):
        FILE.array("b", kind, *shape)
    with pytest.raises(FormatError, match="no c of the shape"):
        FILE.array("c", kind, *shape)


def changed(old, new):
    raw = FILE.raw()
    assert raw.count(old) == 1
    return raw.replace(old, new)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"MC2S",
        FILE.raw()[:-1],
        FILE.raw() + b"\0",
        changed(b"MC2S", b"MC2T"),
        changed(b"secret-model/v1", b"secret-model/v2"),
        changed(b'"kind":"u1"', b'"kind":"u2"'),
        changed(b'"shape":[3]', b'"shape":[9]'),
        changed(b'"shape":[2,3]', b'"shape":[2,4]'),
        changed(b'"name":"b"', b'"name":"a"'),
        changed(bytes([0, 1, 2, 0]), bytes([0, 1, 2, 1])),
        changed(b'"family":"trees"', b'"family":"Trees"'),
    ],
)
def test_what_is_no_such_file_is_refused(raw):
    with pytest.raises(FormatError):
        SecretModelFile.read(raw)
