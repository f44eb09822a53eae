"""The endpoint: a gRPC server on both loopback addresses, for whoever has its token.

Other users of the machine can reach loopback, so every call must carry a random token. Stock
PySpark sends a token without TLS to `localhost` alone, over gRPC's local credentials, which refuse
peers that are not on this machine. `localhost` means two addresses, and a client may try either:
both are bound, so that nobody else on the machine can stand at one of them and be sent the token.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Callable
from concurrent import futures
from typing import Any, Final, Self

import grpc

from mc2.client.connect.jobs import Runner
from mc2.client.connect.proto import base_pb2_grpc
from mc2.client.connect.service import SparkConnect
from mc2.errors import UsageError

_TOKEN_BYTES: Final = 32
_TRIES: Final = 20
_THREADS: Final = 64
_MESSAGE_BYTES: Final = 128 * 1024 * 1024
_OPTIONS: Final = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
)


_add_to_server: Final[Callable[[Any, Any], None]] = (
    base_pb2_grpc.add_SparkConnectServiceServicer_to_server
)


class Endpoint:
    """A running Spark Connect endpoint."""

    def __init__(self, server: grpc.Server, port: int, token: str) -> None:
        self._server = server
        self._token = token
        self.port = port

    @classmethod
    def start(cls, runner: Runner, tell: Callable[[str], None], *, port: int = 0) -> Self:
        """Begin to listen, at a port of the system's choice if none is given.

        Raises: UsageError if the port is taken at one of the two addresses.
        """
        token = secrets.token_hex(_TOKEN_BYTES)
        service = SparkConnect(runner, tell)
        for _ in range(1 if port else _TRIES):
            server = grpc.server(
                futures.ThreadPoolExecutor(_THREADS, thread_name_prefix="mc2-connect"),
                interceptors=(_TokenCheck(token),),
                options=_OPTIONS,
            )
            _add_to_server(service, server)
            bound = _bind(server, port)
            if bound:
                server.start()
                return cls(server, bound, token)
            server.stop(None)
        raise UsageError(
            f"port {port or 'of any number'} is not free at both 127.0.0.1 and ::1",
            hint="choose another: mc2 connect --port 15002",
        )

    @property
    def connection(self) -> str:
        """The connection string for `SparkSession.builder.remote(...)`. It holds the token."""
        return f"sc://localhost:{self.port}/;token={self._token}"

    def stop(self) -> None:
        """Hang up. Jobs go on."""
        self._server.stop(grace=1.0).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Spark Connect at localhost:{self.port}>"


def _bind(server: grpc.Server, port: int) -> int:
    """Bind both loopback addresses to one port. Gives it, or 0 if it is not free at both."""
    credentials = grpc.local_server_credentials(grpc.LocalConnectionType.LOCAL_TCP)
    try:
        bound: int = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        if _has_address("::1"):
            server.add_secure_port(f"[::1]:{bound}", credentials)
    except RuntimeError:
        return 0
    return bound


def _has_address(address: str) -> bool:
    """Whether this machine has the address; if not, nobody can listen at it."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


class _TokenCheck(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Answers no call without the token."""

    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}".encode()

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """Let a call through, or refuse it before anything of it is read."""
        given = [v for k, v in handler_call_details.invocation_metadata if k == "authorization"]
        raw = given[0] if len(given) == 1 else ""
        if hmac.compare_digest(raw.encode() if isinstance(raw, str) else raw, self._wanted):
            return continuation(handler_call_details)
        return _REFUSE_STREAM if handler_call_details.method in _STREAMS else _REFUSE


def _refuse(_request: Any, context: grpc.ServicerContext) -> Any:
    context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is missing or wrong: mc2 connect")


_STREAMS: Final = (
    "/spark.connect.SparkConnectService/ExecutePlan",
    "/spark.connect.SparkConnectService/ReattachExecute",
)
_REFUSE: Final = grpc.unary_unary_rpc_method_handler(_refuse)
_REFUSE_STREAM: Final = grpc.unary_stream_rpc_method_handler(_refuse)
