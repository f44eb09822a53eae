"""Two builds from one commit are the same, byte for byte: what members compare means the code."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.wheels import build_wheel, snapshot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_the_wheel_is_the_same_wherever_it_is_built(tmp_path: Path) -> None:
    source = snapshot(tmp_path / "commit")
    first = build_wheel(source, tmp_path / "one")
    second = build_wheel(source, tmp_path / "another" / "folder")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
