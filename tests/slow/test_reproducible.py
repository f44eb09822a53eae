"""Two builds from one commit are the same, byte for byte: what members compare means the code."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.support.wheels import build_wheel, snapshot
from tools.prove.report import module_path

from mc2.cli.obliviousness import build_id

REPORT = Path("src/mc2/_native/obliviousness-report.json")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_wheel_is_the_same_wherever_it_is_built(tmp_path: Path) -> None:
    source = snapshot(tmp_path / "commit")
    report = source / REPORT
    report.write_text("{}")  # git ignores it, and the wheel must not
    first = build_wheel(source, tmp_path / "one")
    second = build_wheel(source, tmp_path / "another" / "folder")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as wheel:
        assert wheel.read(str(REPORT.relative_to("src"))) == b"{}"
        (module,) = (name for name in wheel.namelist() if name.endswith(".so"))
        found = build_id(wheel.read(module))
    # What `make prove` looks at in this checkout is what a wheel of it brings.
    assert found == build_id(module_path().read_bytes()), "run: make setup"
