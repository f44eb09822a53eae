"""The packages whose versions a plan names, because its answers depend on them.

A planner writes the versions that it sees into the plan; an enclave runs a plan only if its own
are the same. The version of Python is not among them: no answer depends on it, and the enclave's
measured code names it anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Final

from mc2.errors import PlanError
from mc2.version import VERSION

PACKAGES: Final = ("duckdb", "mc2", "numpy", "pyarrow", "xgboost")
"""The names as plans write them, in order."""

_DISTRIBUTIONS: Final = {"xgboost": ("xgboost-cpu", "xgboost")}
"""Where one package comes in several builds of the same source: the first one found counts."""


def package_versions() -> dict[str, str]:
    """The versions of `PACKAGES` in this installation, by name. Reads package metadata from disk.

    Raises: PlanError if one is not installed.
    """
    return {name: VERSION if name == "mc2" else _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    for distribution in _DISTRIBUTIONS.get(name, (name,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    raise PlanError(
        f"{name} is not installed, so no plan can name its version",
        hint=f"install mc2 with all that it depends on; {name} is missing",
    )


def check_packages(planned: Mapping[str, str], running: Mapping[str, str]) -> None:
    """Refuse a plan that was made for other versions than those that run here.

    Raises: PlanError that lists each difference.
    """
    differences = [
        f"{name} {planned.get(name, 'is missing')} in the plan, {running.get(name, 'none')} here"
        for name in sorted(planned.keys() | running.keys())
        if planned.get(name) != running.get(name)
    ]
    if differences:
        raise PlanError(
            "the plan is for other packages than this enclave runs: " + "; ".join(differences),
            hint="compile the script again with the versions that the enclave runs",
        )
