"""A running coordinator: folder, lock, workers, scheduler, and HTTPS in front."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import uvicorn

from mc2.coordinator.app import create_app
from mc2.coordinator.backend import BlockRoom
from mc2.coordinator.cluster import Backend
from mc2.coordinator.cluster import Pool as Workers
from mc2.coordinator.folder import CoordinatorFolder, FolderLock, write_file
from mc2.coordinator.requests import Context, Rates
from mc2.coordinator.scheduler import Scheduler, Timeouts
from mc2.coordinator.service import Service
from mc2.coordinator.store import Quotas, Store
from mc2.coordinator.worker_pool import WorkerAddress, WorkerPool, WorkerSource, worker_commands
from mc2.crypto.tls import fingerprint
from mc2.errors import CoordinatorError, UsageError
from mc2.formats.coordinator_file import CoordinatorFile
from mc2.storage import ResultStorage

_log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 8765
_CONNECTIONS: Final = 1000
_KEEP_ALIVE_SECONDS: Final = 30
_GRACE_SECONDS: Final = 10
_SWEEP_SECONDS: Final = 24 * 3600
_UNUSED: Final = timedelta(days=7)


def now() -> datetime:
    """The time by this machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """What an operator decides. Port 0 takes a free one.

    `host` is the address to listen on; `names` are the host names and addresses that clients use,
    the first of them in the URL (none: `host` itself). `worker_command` is started
    `worker_count` times; workers elsewhere are reached at `worker_addresses`. A job has up to
    `workers_per_job` of them, as many as are free. `worker_environment`
    is what those processes see besides PATH and the like. `result_storage`: where results stand,
    if not in the folder: a path or a URL of fsspec's.
    """

    folder: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    names: tuple[str, ...] = ()
    worker_command: tuple[str, ...] = ()
    worker_count: int = 0
    worker_addresses: tuple[str, ...] = ()
    workers_per_job: int = 1
    quotas: Quotas | None = None
    rates: Rates | None = None
    timeouts: Timeouts | None = None
    result_storage: str = ""

    def host_names(self) -> tuple[str, ...]:
        """All names that the certificate is for, the one in the URL first.

        Raises: UsageError if clients would not know where to go.
        """
        local = ("localhost",) if _is_loopback(self.host) else ()
        own = () if _is_wildcard(self.host) else (self.host,)
        names = tuple(dict.fromkeys([*self.names, *own, *local]))
        if not names:
            raise UsageError(
                f"listening on {self.host} says nothing about the name to be reached under",
                hint="add --name coordinator.example.org",
            )
        return names

    def worker_sources(self, logs: Path) -> tuple[WorkerSource, ...]:
        """Where the workers come from."""
        return (
            *worker_commands(self.worker_count, self.worker_command, logs),
            *(WorkerAddress(address) for address in self.worker_addresses),
        )


class Pool(Workers[Any], AbstractContextManager[Any], Protocol):
    """Lends workers out while its block lasts: `WorkerPool`, or a stand-in in tests."""


class Coordinator:
    """A coordinator in this process: `serve` blocks, `in_background` is for tests and the demo.

    Each is for one run. `pool` stands in for the workers of the configuration; `backend` is where
    their tasks run, if not in workers of the pool.
    """

    def __init__(
        self, config: ServerConfig, pool: Pool | None = None, backend: Backend | None = None
    ) -> None:
        self._config = config
        self._backend = backend
        self._folder = CoordinatorFolder(config.folder)
        self._pool = pool or WorkerPool(
            config.worker_sources(self._folder.logs), events=lambda text: _log.info("%s", text)
        )
        self._server: _Server | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.url = ""
        """Where it is reached, once it is ready."""

    def serve(self) -> None:
        """Run until SIGTERM or SIGINT, or `stop`. Raises: CoordinatorError, UsageError."""
        names = self._config.host_names()
        with FolderLock(self._folder):
            self._folder.prepare(names, now())
            with _listen(self._config.host, self._config.port) as listener:
                self._serve(listener, names)

    def _serve(self, listener: socket.socket, names: Sequence[str]) -> None:
        port = listener.getsockname()[1]
        authorities = [_authority(name, port) for name in names]
        self.url = f"https://{authorities[0]}"
        place = self._config.result_storage
        results = ResultStorage(place) if place else None
        store = Store(self._folder.data, self._config.quotas, results)
        service = Service(store, clock=now, invitation=self._folder.token)
        scheduler = Scheduler(
            service,
            self._pool,
            self._config.timeouts,
            workers_per_job=self._config.workers_per_job,
            backend=self._backend,
            room=BlockRoom(self._folder.blocks, store.quotas.party_bytes),
        )
        app = create_app(service, authorities, self._config.rates)
        self._server = _Server(self._uvicorn(app), app.state.context, self._announce)
        try:
            with self._pool, _running(scheduler), _sweeping(store):
                self._server.run(sockets=[listener])
        finally:
            store.close()
        _log.info("stopped")

    def _uvicorn(self, app: Callable[..., object]) -> uvicorn.Config:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=self._folder.certificate,
            ssl_keyfile=self._folder.key,
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_3
        return config

    def _announce(self) -> None:
        """Tell clients where to go, now that somebody is there."""
        certificate = self._folder.certificate.read_bytes()
        handed_out = CoordinatorFile(
            url=self.url,
            certificate=certificate.decode("ascii"),
            fingerprint=fingerprint(certificate),
            invitation_file=str(self._folder.invitation),
        )
        write_file(self._folder.file, handed_out.encode())
        _log.info("listening at %s", self.url)
        self._ready.set()

    def stop(self) -> None:
        """Ask it to stop, from any thread."""
        if self._server is not None:
            self._server.finish()

    @contextmanager
    def in_background(self, *, timeout_seconds: float = 60.0) -> Iterator[Coordinator]:
        """Run in a thread while the block lasts. Raises: what `serve` raises."""
        thread = threading.Thread(target=self._serve_quietly, name="coordinator", daemon=True)
        thread.start()
        try:
            if not self._ready.wait(timeout_seconds) or self._failure is not None:
                raise self._failure or CoordinatorError("the coordinator did not start in time")
            yield self
        finally:
            self.stop()
            thread.join()

    def _serve_quietly(self) -> None:
        try:
            self.serve()
        except BaseException as error:  # noqa: BLE001  raised again by `in_background`
            self._failure = error
            self._ready.set()


def serve(config: ServerConfig) -> None:
    """Run a coordinator until SIGTERM or SIGINT. Raises: CoordinatorError, UsageError."""
    Coordinator(config).serve()


class _Server(uvicorn.Server):
    """Says when it listens, and lets those who wait for news go when it stops."""

    def __init__(
        self, config: uvicorn.Config, context: Context, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._context = context
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            await asyncio.to_thread(self._announce)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Closing TLS politely waits for the other side, which sleeps: cut off who is idle now,
        # and at the end whoever is left.
        self._abort(only_idle=True)
        await super().shutdown(sockets)
        self._abort(only_idle=False)
        await asyncio.sleep(0.01)  # the event loop lets go of them

    def _abort(self, *, only_idle: bool) -> None:
        for connection in tuple(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)
            transport = getattr(connection, "transport", None)
            idle = cycle is None or cycle.response_complete
            if transport is not None and (idle or not only_idle):
                transport.abort()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._context.waiting.release()
        super().handle_exit(sig, frame)

    def finish(self) -> None:
        self._context.waiting.release()
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, but without raising them again at the end: this is how we stop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _running(scheduler: Scheduler[Any]) -> Iterator[None]:
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()


@contextmanager
def _sweeping(store: Store) -> Iterator[None]:
    """Once a day, and at the start, remove the left-overs of uploads that were broken off."""
    stopping = threading.Event()

    def sweep() -> None:
        while not stopping.is_set():
            try:
                removed = store.sweep(now(), _UNUSED, stopping.is_set)
            except Exception:  # noqa: BLE001  nobody waits for it; tomorrow it tries again
                _log.exception("sweeping failed")
            else:
                _log.info("removed %d chunks that no dataset uses", removed)
            stopping.wait(_SWEEP_SECONDS)

    thread = threading.Thread(target=sweep, name="sweep", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise CoordinatorError(
            f"cannot listen on {host}, port {port}: {error.strerror}",
            hint="choose another --port, or --port 0 for a free one",
        ) from None
    with listener:
        # Connections inherit it. asyncio would set it by itself, but not on a socket made like
        # this one, and then each answer waits 40 ms for an acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def _authority(name: str, port: int) -> str:
    host = f"[{name}]" if ":" in name else name
    return host if port == 443 else f"{host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == ""
