"""Secure collaborative analytics and machine learning: joint SQL and XGBoost, nothing revealed.

Scripts use `mc2.Job` and `mc2.xgboost`; notebooks and programs of a party, `mc2.Party`. Names are
loaded when they are first used, so that `import mc2` costs nothing. Their types stand in
`__init__.pyi`.
"""

from __future__ import annotations

from importlib import import_module

from mc2.version import VERSION

__version__ = VERSION
__all__ = ["Job", "Party", "Table", "__version__", "clusters", "errors", "linear", "udf", "xgboost"]

_HOMES = {
    "Job": "mc2.planner.job",
    "Party": "mc2.client.party",
    "Table": "mc2.planner.tables",
    "udf": "mc2.planner.python_sources",
}
_THERE = {"udf": "script_function"}
_MODULES = ("clusters", "errors", "linear", "xgboost")


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"mc2.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), _THERE.get(name, name))
    raise AttributeError(f"module 'mc2' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
