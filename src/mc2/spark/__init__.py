"""The Spark backend: moves sealed blocks, opens none."""

from mc2.spark.backend import SparkBackend, backend

__all__ = ["SparkBackend", "backend"]
