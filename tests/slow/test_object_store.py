"""Sealed blocks in object storage: a real Spark, and a server that speaks S3 on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.spark.conftest import ROOT, Standalone, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PYTHON = ROOT / "build" / "outside" / "bin" / "python"


@pytest.fixture
def place(tmp_path: Path) -> Standalone:
    assert PYTHON.exists(), "run `make build/outside/.installed`"
    names = environment(tmp_path) | {"PYSPARK_PYTHON": str(PYTHON)}
    return Standalone("local[2]", tmp_path, names, python=PYTHON)


def test_recipients_fetch_results_from_a_bucket(place: Standalone) -> None:
    found = place.start("object_store", "results")
    assert found["held"] == 2
    assert found["in_folder"] == 0
    assert found["same"]
    assert found["short"] == found["gone"] == ["dataset", "dataset"]


def test_a_bucket_carries_the_blocks_of_jobs(place: Standalone) -> None:
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
