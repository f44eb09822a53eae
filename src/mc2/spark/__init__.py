"""The Spark backend: moves sealed blocks, opens none."""

from mc2.spark.backend import SparkBackend, backend
from mc2.spark.shipping import SHIPPED_ENCLAVE, SHIPPED_PYTHON, pack, shipped_settings

__all__ = [
    "SHIPPED_ENCLAVE",
    "SHIPPED_PYTHON",
    "SparkBackend",
    "backend",
    "pack",
    "shipped_settings",
]
