"""Released centres of clusters at home, by scikit-learn's names."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from mc2.errors import FormatError, UsageError
from mc2.formats.linear_model import ClustersFile, read_linear_model

Source: TypeAlias = "str | PathLike[str] | bytes | Any"
"""A file, the bytes of a model, or a result of `Party.result`."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterModel:
    """Centres with scikit-learn's attributes; `X` has the features in their order."""

    feature_names_in_: npt.NDArray[np.str_]
    cluster_centers_: npt.NDArray[np.float64]
    inertia_: float

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.int32]:  # noqa: N803 - scikit-learn's name
        """The number of the nearest centre for each row, the first of several."""
        rows = np.asarray(X, dtype=np.float64)
        squares = [((rows - centre) ** 2).sum(axis=1) for centre in self.cluster_centers_]
        found: npt.NDArray[np.int32] = np.argmin(np.stack(squares), axis=0).astype(np.int32)
        return found


def load_model(source: Source) -> ClusterModel:
    """Released centres. Raises: UsageError if the file holds none."""
    raw = getattr(source, "raw", source)
    try:
        found = read_linear_model(
            bytes(raw) if isinstance(raw, (bytes, bytearray)) else Path(raw).read_bytes()
        )
    except (FormatError, TypeError, OSError) as error:
        raise UsageError(
            "this is no model of clusters", hint="give the file that mc2 download wrote"
        ) from error
    if not isinstance(found, ClustersFile):
        raise UsageError("this model is a regression", hint="mc2.linear.load_model")
    return ClusterModel(np.array(found.features), np.array(found.centres), found.inertia)
