"""Spark Connect's calls. Each error becomes one that PySpark raises; unknown calls are refused."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import grpc

from mc2.client.connect import requests
from mc2.client.connect.answers import schema_proto
from mc2.client.connect.failures import internal_error, rpc_error
from mc2.client.connect.jobs import Runner
from mc2.client.connect.operations import Operation
from mc2.client.connect.proto import base_pb2, base_pb2_grpc
from mc2.client.connect.session import Session
from mc2.errors import Mc2Error, UsageError
from mc2.formats.schema import DataType
from mc2.planner.connect.ddl import parse_ddl
from mc2.planner.connect.frame import Frame
from mc2.planner.connect.message import unsupported
from mc2.planner.connect.types import tree_string, type_message

SPARK_VERSION: Final = "4.2.0"
"""The version whose messages and meanings this speaks."""

_SESSIONS: Final = 64
_log = logging.getLogger("mc2.connect")


class SparkConnect(base_pb2_grpc.SparkConnectServiceServicer):
    """The service of one party."""

    def __init__(self, runner: Runner, tell: Callable[[str], None]) -> None:
        self._runner = runner
        self._tell = tell
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def _session(self, session_id: str, observed: str = "") -> Session:
        with self._lock:
            found = self._sessions.get(session_id)
            if found is None:
                if observed:
                    raise UsageError("[INVALID_HANDLE.SESSION_NOT_FOUND] the session is over")
                if len(self._sessions) >= _SESSIONS:
                    raise UsageError("too many sessions", hint="spark.stop() ends one")
                found = self._sessions[session_id] = Session(session_id, self._runner, self._tell)
            elif observed and observed != found.server_side_id:
                raise UsageError("[INVALID_HANDLE.SESSION_CHANGED] the session is another one")
            return found

    def _of(self, request: Any) -> Session:
        return self._session(request.session_id, request.client_observed_server_side_session_id)

    # running

    def ExecutePlan(  # noqa: N802 - the name of the call
        self, request: base_pb2.ExecutePlanRequest, context: grpc.ServicerContext
    ) -> Iterator[base_pb2.ExecutePlanResponse]:
        """Run a DataFrame or a command."""
        with answering(context):
            session = self._of(request)
            yield from self._stream(session, session.execute(request), None, context)

    def ReattachExecute(  # noqa: N802 - the name of the call
        self, request: base_pb2.ReattachExecuteRequest, context: grpc.ServicerContext
    ) -> Iterator[base_pb2.ExecutePlanResponse]:
        """Go on with the responses of an execution whose stream broke off."""
        with answering(context):
            session = self._of(request)
            after = request.last_response_id if request.HasField("last_response_id") else None
            operation = session.operation(request.operation_id)
            yield from self._stream(session, operation, after, context)

    @staticmethod
    def _stream(
        session: Session, operation: Operation, after: str | None, context: grpc.ServicerContext
    ) -> Iterator[base_pb2.ExecutePlanResponse]:
        for response in operation.stream(after, context.is_active):
            response.session_id = session.session_id
            response.server_side_session_id = session.server_side_id
            yield response

    def ReleaseExecute(  # noqa: N802 - the name of the call
        self, request: base_pb2.ReleaseExecuteRequest, context: grpc.ServicerContext
    ) -> base_pb2.ReleaseExecuteResponse:
        """Forget responses that the client has."""
        with answering(context):
            session = self._of(request)
            until = request.release_until.response_id if request.HasField("release_until") else None
            there = session.release(request.operation_id, until)
            response = base_pb2.ReleaseExecuteResponse(
                session_id=session.session_id, server_side_session_id=session.server_side_id
            )
            if there:
                response.operation_id = request.operation_id
            return response

    def Interrupt(  # noqa: N802 - the name of the call
        self, request: base_pb2.InterruptRequest, context: grpc.ServicerContext
    ) -> base_pb2.InterruptResponse:
        """Stop waiting: for all, for a tag, for one."""
        kinds = base_pb2.InterruptRequest
        wanted: dict[int, Callable[[Operation], bool]] = {
            kinds.INTERRUPT_TYPE_ALL: lambda _: True,
            kinds.INTERRUPT_TYPE_TAG: lambda o: request.operation_tag in o.tags,
            kinds.INTERRUPT_TYPE_OPERATION_ID: lambda o: o.operation_id == request.operation_id,
        }
        with answering(context):
            session = self._of(request)
            if request.interrupt_type not in wanted:
                raise unsupported("an interrupt of an unknown kind")
            return base_pb2.InterruptResponse(
                session_id=session.session_id,
                server_side_session_id=session.server_side_id,
                interrupted_ids=session.interrupt(wanted[request.interrupt_type]),
            )

    def ReleaseSession(  # noqa: N802 - the name of the call
        self, request: base_pb2.ReleaseSessionRequest, context: grpc.ServicerContext
    ) -> base_pb2.ReleaseSessionResponse:
        """End a session."""
        with answering(context):
            with self._lock:
                session = self._sessions.pop(request.session_id, None)
            if session is not None:
                session.close()
            return base_pb2.ReleaseSessionResponse(session_id=request.session_id)

    # asking

    def AnalyzePlan(  # noqa: N802 - the name of the call
        self, request: base_pb2.AnalyzePlanRequest, context: grpc.ServicerContext
    ) -> base_pb2.AnalyzePlanResponse:
        """Say what a DataFrame is, from types alone."""
        with answering(context):
            session = self._of(request)
            response = base_pb2.AnalyzePlanResponse(
                session_id=session.session_id, server_side_session_id=session.server_side_id
            )
            kind = request.WhichOneof("analyze")
            analyze = _ANALYSES.get(kind or "")
            if analyze is None:
                raise unsupported(str(kind).replace("_", " "))
            analyze(session, getattr(request, str(kind)), response)
            return response

    def Config(  # noqa: N802 - the name of the call
        self, request: base_pb2.ConfigRequest, context: grpc.ServicerContext
    ) -> base_pb2.ConfigResponse:
        """Read and change settings."""
        with answering(context):
            session = self._of(request)
            response = base_pb2.ConfigResponse(
                session_id=session.session_id, server_side_session_id=session.server_side_id
            )
            kind = str(request.operation.WhichOneof("op_type"))
            configure = _CONFIGS.get(kind)
            if configure is None:
                raise unsupported("an unknown use of settings")
            configure(session, getattr(request.operation, kind), response)
            return response

    # what there is none of

    def AddArtifacts(  # noqa: N802 - the name of the call
        self,
        request_iterator: Iterator[base_pb2.AddArtifactsRequest],
        context: grpc.ServicerContext,
    ) -> base_pb2.AddArtifactsResponse:
        """Refuse files and code."""
        del request_iterator
        with answering(context):
            raise unsupported(
                "addArtifacts (files, archives, Python functions, large local rows)",
                "nothing but the plan reaches an enclave; seal rows with mc2 upload",
            )

    def ArtifactStatus(  # noqa: N802 - the name of the call
        self, request: base_pb2.ArtifactStatusesRequest, context: grpc.ServicerContext
    ) -> base_pb2.ArtifactStatusesResponse:
        """No artifact is here."""
        with answering(context):
            session = self._of(request)
            response = base_pb2.ArtifactStatusesResponse(
                session_id=session.session_id, server_side_session_id=session.server_side_id
            )
            for name in request.names:
                response.statuses[name].exists = False
            return response


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Turn errors into those that PySpark raises."""
    try:
        yield
    except Mc2Error as error:
        context.abort_with_status(rpc_error(error))
    except Exception as error:
        if isinstance(error, grpc.RpcError) or context.code() is not None:
            raise
        _log.exception("a call failed here")
        context.abort_with_status(internal_error())


def _columns(frame: Frame) -> list[tuple[str, Any, bool]]:
    return [(c.name, c.type, c.nullable) for c in frame.visible]


def _schema(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    frame = session.frame(requests.relation(asked.plan))
    response.schema.schema.CopyFrom(schema_proto(_columns(frame)))


def _explain(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    response.explain.explain_string = session.explain(requests.relation(asked.plan))


def _tree(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    frame = session.frame(requests.relation(asked.plan))
    level = asked.level if asked.HasField("level") else None
    response.tree_string.tree_string = tree_string(_columns(frame), level)


def _is_local(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    session.frame(requests.relation(asked.plan))
    response.is_local.is_local = False


def _is_streaming(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    session.frame(requests.relation(asked.plan))
    response.is_streaming.is_streaming = False


def _files(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    session.frame(requests.relation(asked.plan))
    response.input_files.SetInParent()


def _version(_session: Session, _asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    response.spark_version.version = SPARK_VERSION


def _same(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    """Two DataFrames are the same if they become one script."""
    one = session.script(requests.relation(asked.target_plan))[1]
    other = session.script(requests.relation(asked.other_plan))[1]
    response.same_semantics.result = one == other


def _hash(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    from hashlib import sha256

    script = session.script(requests.relation(asked.plan))[1]
    number = int.from_bytes(sha256(script.encode()).digest()[:4], "big", signed=True)
    response.semantic_hash.result = number


def _persist(session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    """Nothing is kept and nothing changes: a job of the same plan is opened again anyway."""
    session.frame(requests.values(asked.relation))
    response.persist.SetInParent()


def _unpersist(_session: Session, _asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    response.unpersist.SetInParent()


def _storage(_session: Session, _asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    response.get_storage_level.storage_level.SetInParent()


def _ddl(_session: Session, asked: Any, response: base_pb2.AnalyzePlanResponse) -> None:
    found = parse_ddl(asked.ddl_string)
    if isinstance(found, DataType):
        requests.message(type_message(found), response.ddl_parse.parsed)
    else:
        response.ddl_parse.parsed.CopyFrom(schema_proto(found))


_Analyze = Callable[[Session, Any, base_pb2.AnalyzePlanResponse], None]
_ANALYSES: Final[dict[str, _Analyze]] = {
    "schema": _schema,
    "explain": _explain,
    "tree_string": _tree,
    "is_local": _is_local,
    "is_streaming": _is_streaming,
    "input_files": _files,
    "spark_version": _version,
    "same_semantics": _same,
    "semantic_hash": _hash,
    "persist": _persist,
    "unpersist": _unpersist,
    "get_storage_level": _storage,
    "ddl_parse": _ddl,
}


def _set(session: Session, asked: Any, response: base_pb2.ConfigResponse) -> None:
    for pair in asked.pairs:
        try:
            session.settings.set(pair.key, pair.value)
        except Mc2Error as error:
            if not asked.silent:
                raise
            response.warnings.append(str(error))


def _pair(response: base_pb2.ConfigResponse, key: str, value: str | None) -> None:
    pair = response.pairs.add(key=key)
    if value is not None:
        pair.value = value


def _get(session: Session, asked: Any, response: base_pb2.ConfigResponse) -> None:
    for key in asked.keys:
        _pair(response, key, session.settings.get(key))


def _get_default(session: Session, asked: Any, response: base_pb2.ConfigResponse) -> None:
    for pair in asked.pairs:
        default = pair.value if pair.HasField("value") else None
        found = session.settings.get(pair.key)
        _pair(response, pair.key, default if found is None else found)


def _get_all(session: Session, asked: Any, response: base_pb2.ConfigResponse) -> None:
    for key, value in session.settings.all(asked.prefix).items():
        _pair(response, key, value)


def _unset(session: Session, asked: Any, _response: base_pb2.ConfigResponse) -> None:
    for key in asked.keys:
        session.settings.unset(key)


def _modifiable(session: Session, asked: Any, response: base_pb2.ConfigResponse) -> None:
    for key in asked.keys:
        _pair(response, key, str(session.settings.can_change(key)).lower())


_Configure = Callable[[Session, Any, base_pb2.ConfigResponse], None]
_CONFIGS: Final[dict[str, _Configure]] = {
    "set": _set,
    "get": _get,
    "get_with_default": _get_default,
    "get_option": _get,
    "get_all": _get_all,
    "unset": _unset,
    "is_modifiable": _modifiable,
}
