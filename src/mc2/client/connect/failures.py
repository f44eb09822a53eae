"""Errors of mc2 as PySpark's own exceptions.

What cannot be planned is an AnalysisException, as whoever writes DataFrame code expects; all else
is a SparkException. The words are ours, and never quote data.
"""

from __future__ import annotations

import json
from typing import Final

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from mc2.client.connect.jobs import Stopped
from mc2.errors import FormatError, Mc2Error, PlanError, UsageError

_ANALYSIS: Final = "org.apache.spark.sql.AnalysisException"
_OTHER: Final = "org.apache.spark.SparkException"
_DOMAIN: Final = "org.apache.spark"


def rpc_error(error: Mc2Error) -> grpc.Status:
    """An error as the client is told of it."""
    analysis = isinstance(error, (PlanError, FormatError, UsageError))
    kind = _ANALYSIS if analysis else _OTHER
    name = "OPERATION_CANCELED" if isinstance(error, Stopped) else f"MC2_{error.code.upper()}"
    text = f"[{name}] {error}"
    if error.hint:
        text += f" (next: {error.hint})"
    return _status(text, kind, name)


def internal_error() -> grpc.Status:
    """A defect of ours: what happened stands in the log of `mc2 connect`, not in the answer."""
    return _status(
        "[MC2_ERROR] mc2 connect failed here; its terminal says more", _OTHER, "MC2_ERROR"
    )


def _status(text: str, kind: str, name: str) -> grpc.Status:
    info = error_details_pb2.ErrorInfo(
        reason=kind,
        domain=_DOMAIN,
        metadata={"classes": json.dumps([kind]), "errorClass": name, "messageParameters": "{}"},
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    status = status_pb2.Status(code=code_pb2.INTERNAL, message=text, details=[detail])
    return rpc_status.to_status(status)
