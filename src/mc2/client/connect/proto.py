"""PySpark's own message classes.

Importing them makes PySpark look at the version of pandas and warn of new ones. The endpoint uses
no pandas, so that warning is for the client's process, where PySpark gives it again.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from pyspark.sql.connect.proto import (
        base_pb2,
        base_pb2_grpc,
        commands_pb2,
        relations_pb2,
        types_pb2,
    )

__all__ = ["base_pb2", "base_pb2_grpc", "commands_pb2", "relations_pb2", "types_pb2"]
