"""The targets of the fuzzer: each parser is there, and takes its seeds as anything else does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from random import Random

import pytest

from mc2.errors import Mc2Error

ROOT = Path(__file__).resolve().parents[3]
NOISE = [b"", b"\0", b"{}", b"[]", bytes(4096), Random(1).randbytes(4096), b".eif" + bytes(600), b"MZ" + bytes(600)]  # fmt: skip


def load():
    spec = importlib.util.spec_from_file_location("fuzz_run", ROOT / "fuzz" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FUZZ = load()
TARGETS = FUZZ.targets()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_gives_a_value_or_refuses(name, tmp_path):
    parse, vectors = TARGETS[name]
    FUZZ.write_seeds(tmp_path, vectors)
    seeds = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    for raw in [*NOISE, *seeds]:
        try:
            parse(raw)
        except Mc2Error:
            continue


def test_vectors_that_are_named_are_there(tmp_path):
    for name, (_, vectors) in TARGETS.items():
        if vectors:
            assert json.loads((ROOT / "vectors" / f"{vectors}.json").read_text()), name
