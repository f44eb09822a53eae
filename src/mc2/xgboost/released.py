"""Released models at home: opened by stock XGBoost, drawn by its plots."""

from __future__ import annotations

from os import PathLike
from typing import Any, TypeAlias

from mc2.errors import UsageError

Source: TypeAlias = "str | PathLike[str] | bytes | bytearray | Any"
"""A file, the bytes of a model, a result of `Party.result`, or a stock booster."""


def load_model(source: Source) -> Any:
    """A released model as a stock `xgboost.Booster`. Raises: UsageError if it is none."""
    import xgboost

    if isinstance(source, xgboost.Booster):
        return source
    raw = getattr(source, "raw", source)
    given = bytearray(raw) if isinstance(raw, (bytes, bytearray)) else raw
    found = xgboost.Booster()
    try:
        found.load_model(given)
    except (xgboost.core.XGBoostError, TypeError, ValueError, OSError) as error:
        raise UsageError(
            "this is no XGBoost model", hint="give the file that mc2 download wrote"
        ) from error
    return found


def save_model(source: Source, path: str | PathLike[str]) -> None:
    """Write a released model as `.json` or `.ubj`, by the file's name. Raises: UsageError."""
    if not str(path).endswith((".json", ".ubj")):
        raise UsageError("a model's file ends in .json or .ubj", hint='save_model(model, "m.ubj")')
    load_model(source).save_model(path)


def plot_importance(source: Source, **options: Any) -> Any:
    """Stock XGBoost's `plot_importance` over a released model. Needs matplotlib."""
    from xgboost import plotting

    return plotting.plot_importance(load_model(source), **options)


def plot_tree(source: Source, **options: Any) -> Any:
    """Stock XGBoost's `plot_tree` over a released model. Needs matplotlib and graphviz."""
    from xgboost import plotting

    return plotting.plot_tree(load_model(source), **options)


def to_graphviz(source: Source, **options: Any) -> Any:
    """Stock XGBoost's `to_graphviz` over a released model. Needs graphviz."""
    from xgboost import plotting

    return plotting.to_graphviz(load_model(source), **options)
