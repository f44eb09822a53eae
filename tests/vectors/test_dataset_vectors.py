"""Every vector of sealed datasets, through the reader of its format."""

import json
from pathlib import Path

import pytest
from tools.vectors import world

from mc2.errors import Mc2Error
from mc2.formats.canonical import decode
from mc2.formats.chunk import unpack_rows
from mc2.formats.dataset_open import dataset_cipher, open_chunk
from mc2.formats.manifest import Manifest
from mc2.formats.schema import Schema, parse_type

FOLDER = Path(__file__).resolve().parents[2] / "vectors"
LIMIT = 1 << 20


def schema(text):
    return Schema.read(decode(text.encode(), LIMIT, "a vector"))


def read_chunk(case):
    raw, padded = bytes.fromhex(case["hex"]), case["sizes"] == "padded"
    unpack_rows(raw, schema(case["schema"]), case["compression"], padded=padded)


def read_sealed_chunk(case):
    manifest = Manifest.parse(case["manifest"].encode())
    cipher = dataset_cipher(manifest, bytes.fromhex(case["key"]))
    open_chunk(cipher, manifest, int(case["index"]), [bytes.fromhex(case["hex"])])


def read_sealed_parts(case):
    manifest = Manifest.parse(case["manifest"].encode())
    cipher = dataset_cipher(manifest, bytes.fromhex(case["key"]))
    open_chunk(cipher, manifest, 0, [bytes.fromhex(part) for part in json.loads(case["parts"])])


READERS = {
    "column-type": lambda case: parse_type(case["text"]),
    "schema": lambda case: schema(case["text"]),
    "manifest": lambda case: Manifest.verify(
        case["text"].encode(), lambda name: world.signing_key(name).public
    ),
    "chunk": read_chunk,
    "sealed-chunk": read_sealed_chunk,
    "sealed-parts": read_sealed_parts,
}

CASES = [
    pytest.param(case, id=f"{name}-{case['name']}")
    for name in READERS
    for case in json.loads((FOLDER / f"{name}.json").read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_vector(case):
    read = READERS[case["format"]]
    if case["expect"] == "accept":
        read(case)
        return
    with pytest.raises(Mc2Error) as caught:
        read(case)
    assert type(caught.value).__name__ == case["error"], caught.value


@pytest.mark.parametrize("name", READERS)
def test_both_outcomes_are_covered(name):
    assert {p.values[0]["expect"] for p in CASES if p.values[0]["format"] == name} == {
        "accept",
        "reject",
    }
