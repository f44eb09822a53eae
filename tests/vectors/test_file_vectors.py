"""The vectors of files: identities and coordinator files."""

import json
from pathlib import Path

import pytest

from mc2.client.identity import load_identity
from mc2.errors import Mc2Error
from mc2.formats.coordinator_file import CoordinatorFile

FOLDER = Path(__file__).resolve().parents[2] / "vectors"


def read_identity(raw, folder):
    path = folder / "identity.json"
    path.write_bytes(raw)
    path.chmod(0o600)
    return load_identity(path)


READERS = {
    "identity": read_identity,
    "coordinator-file": lambda raw, _folder: CoordinatorFile.parse(raw),
}
CASES = [
    pytest.param(case, id=f"{name}-{case['name']}")
    for name in READERS
    for case in json.loads((FOLDER / f"{name}.json").read_text())
]


@pytest.mark.parametrize("case", CASES)
def test_vector(case, tmp_path):
    read = READERS[case["format"]]
    if case["expect"] == "accept":
        read(case["text"].encode(), tmp_path)
        return
    with pytest.raises(Mc2Error) as caught:
        read(case["text"].encode(), tmp_path)
    assert type(caught.value).__name__ == case["error"]
