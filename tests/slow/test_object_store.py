"""Sealed blocks in object storage: a real Spark, and a server that speaks S3 on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.spark.conftest import ROOT, Standalone, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PYTHON = ROOT / "build" / "outside" / "bin" / "python"


def test_a_bucket_carries_the_blocks_of_jobs(tmp_path: Path) -> None:
    assert PYTHON.exists(), "run `make build/outside/.installed`"
    names = environment(tmp_path) | {"PYSPARK_PYTHON": str(PYTHON)}
    place = Standalone("local[2]", tmp_path, names, python=PYTHON)
    found = place.start("object_store", "jobs")
    assert found["left_over"] == []
    for job in (found["first"], found["second"]):
        assert job.get("right"), found
        assert job["members"] >= 1
    assert found["held"] > 0
    assert found["folders"] == ["attempt"]
    assert found["plain"] == 0
    assert found["lost"] > 0
    assert found["left"] == []
