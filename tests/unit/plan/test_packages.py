from __future__ import annotations

import pytest

from mc2.errors import PlanError
from mc2.plan.packages import PACKAGES, check_packages, package_versions
from mc2.version import VERSION


def test_names_every_package_once_in_order() -> None:
    versions = package_versions()
    assert tuple(versions) == PACKAGES == tuple(sorted(PACKAGES))
    assert versions["mc2"] == VERSION
    assert all(versions.values())


def test_accepts_equal_versions() -> None:
    check_packages(package_versions(), package_versions())


@pytest.mark.parametrize(
    "planned",
    [
        {"duckdb": "1.0"},
        {"duckdb": "2.0", "numpy": "1"},
        {"duckdb": "2.0", "numpy": "2", "other": "1"},
        {},
    ],
    ids=["other and missing", "other", "one too many", "none"],
)
def test_refuses_any_difference(planned: dict[str, str]) -> None:
    with pytest.raises(PlanError, match="other packages") as caught:
        check_packages(planned, {"duckdb": "2.0", "numpy": "2"})
    assert "compile the script again" in caught.value.hint
