"""k-means over joint data, with scikit-learn's names.

Used in a script, like everything it works on: `mc2.clusters.KMeans(n_clusters=5).fit(table)`.
`load_model` opens what was released, at home.
"""

from __future__ import annotations

from mc2.clusters.released import ClusterModel, load_model
from mc2.planner.linear import KMeans

__all__ = ["ClusterModel", "KMeans", "load_model"]
