"""Files of models that oblivious jobs keep: arrays whose sizes follow from public shapes.

::

    0   4  magic "MC2S"
    4   4  length of the description in bytes, unsigned, little-endian
    8   n  the description: canonical JSON
    ..     each array, little-endian, row by row, behind zeros up to a multiple of 8

The description is public: what the host may know of the model anyway. Nothing looks at a value of
an array. Spec: docs/spec/result.md, section "Models of oblivious jobs".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt

from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.fields import Fields
from mc2.formats.limits import LIMITS

_MAGIC: Final = b"MC2S"
_HEADER_BYTES: Final = 8
_KINDS: Final = {
    "f4": np.float32,
    "f8": np.float64,
    "i8": np.int64,
    "u1": np.uint8,
    "u4": np.uint32,
}
_NAMES: Final = {np.dtype(kind): name for name, kind in _KINDS.items()}
_MOST_ARRAYS: Final = 16
_MOST_AXES: Final = 3

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class SecretModelFile:
    """A model of some `family`: what is `public` of it, and secret arrays by name."""

    TYPE: ClassVar[str] = "mc2/secret-model/v1"

    family: str
    public: Mapping[str, Json]
    arrays: Mapping[str, Array]

    def raw(self) -> bytes:
        """The file."""
        description = encode(
            {
                "type": self.TYPE,
                "family": self.family,
                "public": dict(self.public),
                "arrays": [
                    {"name": name, "kind": _NAMES[array.dtype], "shape": list(array.shape)}
                    for name, array in self.arrays.items()
                ],
            }
        )
        parts = [_MAGIC, len(description).to_bytes(4, "little"), description]
        at = _HEADER_BYTES + len(description)
        for array in self.arrays.values():
            parts += [bytes(-at % 8), array.tobytes()]
            at += -at % 8 + array.nbytes
        return b"".join(parts)

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read a file. Raises: FormatError."""
        start = _HEADER_BYTES + int.from_bytes(raw[4:_HEADER_BYTES], "little")
        if raw[:4] != _MAGIC or start > len(raw):
            raise FormatError("this is no file of a secret model")
        value = decode(raw[_HEADER_BYTES:start], LIMITS.receipt_bytes, "a secret model")
        fields = Fields(value, "a secret model")
        fields.type(cls.TYPE)
        family, public = fields.name("family"), fields.value("public")
        declared = fields.items("arrays", _MOST_ARRAYS, _read_array)
        fields.done()
        if not isinstance(public, Mapping):
            raise FormatError("what is public of a secret model is no object")
        arrays, at = {}, start
        for name, kind, shape in declared:
            end, first = at, at + -at % 8
            at = first + np.dtype(kind).itemsize * math.prod(shape)
            if name in arrays or at > len(raw) or any(raw[end:first]):
                raise FormatError("a secret model is not as long as its arrays")
            arrays[name] = np.frombuffer(raw[first:at], kind).reshape(shape).copy()
        if at != len(raw):
            raise FormatError("a secret model is longer than its arrays")
        return cls(family, public, arrays)

    def array(self, name: str, kind: str, *shape: int) -> Array:
        """One of the arrays, of this kind and shape. Raises: FormatError if it is another."""
        found = self.arrays.get(name)
        if found is None or found.dtype != _KINDS[kind] or found.shape != shape:
            raise FormatError(f"a secret model has no {name} of the shape that it must have")
        return found


def _read_array(value: Json) -> tuple[str, type[Any], tuple[int, ...]]:
    fields = Fields(value, "an array of a secret model")
    name, kind = fields.name("name"), fields.choice("kind", tuple(_KINDS))

    def axis(item: Json) -> int:
        return Fields({"axis": item}, "the shape of an array").integer("axis", 0, 1 << 32)

    shape = fields.items("shape", _MOST_AXES, axis)
    fields.done()
    return name, _KINDS[kind], shape
