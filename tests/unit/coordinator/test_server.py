"""A real coordinator: processes, sockets, TLS, signals."""

import contextlib
import http.client
import os
import random
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.coordinator_world import FakePool, Owner, World, seal

from mc2.client.http import HttpCoordinator
from mc2.coordinator.__main__ import main
from mc2.coordinator.folder import CoordinatorFolder, running_process, stop_process
from mc2.coordinator.server import Coordinator, ServerConfig, _listen
from mc2.crypto.digest import digest
from mc2.crypto.tls import fingerprint
from mc2.errors import CoordinatorError, Mc2Error, UsageError
from mc2.formats.coordinator_file import CoordinatorFile

EVERYWHERE = "0.0.0.0"  # noqa: S104  never listened on here


def connect(folder: Path, person, patience: float = 20.0) -> HttpCoordinator:
    told = CoordinatorFile.parse((folder / "coordinator.json").read_bytes())
    return HttpCoordinator(
        told.url, person.signing, certificate=told.certificate, patience_seconds=patience
    )


def enrol(folder: Path, world: World, *names: str) -> None:
    token = CoordinatorFolder(folder).token()
    for name in names or tuple(world.people):
        with connect(folder, world[name]) as client:
            client.register(world[name].signed_card, token)


def test_a_whole_job_over_https(tmp_path):
    world = World()
    config = ServerConfig(folder=tmp_path, port=0)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Coordinator(config, FakePool()).in_background())
        enrol(tmp_path, world)
        clients = {n: stack.enter_context(connect(tmp_path, p)) for n, p in world.people.items()}
        clients["cy"].put_contract(world.signed_contract())
        world.upload(clients.__getitem__)
        job_id = clients["cy"].propose(world.plan.encode(), world.proposal())
        for name in world.sealed:
            clients[name].approve(job_id, world.approval(name))
            stack.enter_context(Owner(world, clients[name], name))
        assert clients["cy"].start(job_id) == 1
        seen = 0
        while not (status := clients["cy"].job(job_id)).state.final:
            seen = clients["cy"].news(job_id, seen, 5).event
        assert status.state.word == "succeeded", status
        assert clients["ada"].proof(job_id) == clients["bo"].proof(job_id)


def test_what_it_tells_clients_is_true(tmp_path):
    config = ServerConfig(folder=tmp_path, port=0, names=("localhost",))
    with Coordinator(config, FakePool()).in_background() as running:
        told = CoordinatorFile.parse((tmp_path / "coordinator.json").read_bytes())
        assert told.url == running.url
        assert told.url.startswith("https://localhost:")
        assert told.fingerprint == fingerprint(told.certificate.encode())
        assert Path(told.invitation_file).read_text() == CoordinatorFolder(tmp_path).token()
        assert running_process(tmp_path) == os.getpid()


def test_it_speaks_tls_1_3_and_nothing_below(tmp_path):
    with Coordinator(ServerConfig(folder=tmp_path, port=0), FakePool()).in_background() as running:
        port = int(running.url.rpartition(":")[2])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(tmp_path / "tls" / "certificate.pem")
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.version() == "TLSv1.3"
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_nothing_is_said_of_the_software(tmp_path):
    with Coordinator(ServerConfig(folder=tmp_path, port=0), FakePool()).in_background() as running:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(tmp_path / "tls" / "certificate.pem")
        port = int(running.url.rpartition(":")[2])
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        connection.request("GET", "/v1/nothing")
        answer = connection.getresponse()
        assert answer.status == 404
        assert answer.getheader("Server") is None
        answer.read()
        connection.close()


def test_a_second_one_on_the_same_folder_is_refused(tmp_path):
    config = ServerConfig(folder=tmp_path, port=0)
    with (
        Coordinator(config, FakePool()).in_background(),
        pytest.raises(CoordinatorError, match="already"),
    ):
        Coordinator(config, FakePool()).serve()
    with Coordinator(config, FakePool()).in_background():
        pass


def test_a_port_in_use_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = ServerConfig(folder=tmp_path, port=taken.getsockname()[1])
        with pytest.raises(CoordinatorError, match="cannot listen") as caught:
            Coordinator(config, FakePool()).serve()
        assert "--port" in caught.value.hint


def test_small_answers_are_not_held_back():
    with (
        _listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_names_clients_use_must_be_known():
    with pytest.raises(UsageError, match="listening on"):
        ServerConfig(folder=Path(), host=EVERYWHERE).host_names()
    assert ServerConfig(folder=Path(), host="::1").host_names() == ("::1", "localhost")
    names = ServerConfig(folder=Path(), host=EVERYWHERE, names=("a.example", "10.0.0.1"))
    assert names.host_names() == ("a.example", "10.0.0.1")


def test_those_who_wait_do_not_delay_the_stop(tmp_path):
    world = World()
    answers = []
    with Coordinator(ServerConfig(folder=tmp_path, port=0), FakePool()).in_background() as running:
        enrol(tmp_path, world, "ada")
        client = connect(tmp_path, world["ada"], patience=0)
        waiter = threading.Thread(target=lambda: answers.append(client.changes(10**6, 25).event))
        waiter.start()
        time.sleep(0.5)
        begun = time.monotonic()
        running.stop()
    assert time.monotonic() - begun < 8
    waiter.join()
    client.close()
    assert answers == [0]


# --- as a process ---


class Process:
    """`python -m mc2.coordinator`, restarted at will."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / "coordinator.json").unlink(missing_ok=True)
        with (self.folder.parent / "log").open("ab") as log:
            where = ["--folder", str(self.folder), "--port", str(self._port)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mc2.coordinator", *where], stderr=log
            )
        deadline = time.monotonic() + 60
        while not (self.folder / "coordinator.json").exists():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline
            time.sleep(0.02)

    @property
    def log(self) -> str:
        return (self.folder.parent / "log").read_text()

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(30)

    def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(30)


@pytest.fixture
def process(tmp_path):
    found = Process(tmp_path / "c")
    yield found
    with contextlib.suppress(AssertionError):
        found.end()


def test_whatever_was_acknowledged_over_https_survives_kill_9(process):
    world = World()
    blobs: dict[str, bytes] = {}
    manifests: dict[str, bytes] = {}
    for turn in range(2):
        process.start()
        if turn == 0:
            enrol(process.folder, world, "ada")
        client = connect(process.folder, world["ada"], patience=0)

        def write(client=client) -> None:
            with contextlib.suppress(Mc2Error):
                while True:
                    version = len(manifests) + random.randrange(10**6)
                    sealed = seal(world["ada"], version=version + 1)
                    for name, raw in sealed.chunks.items():
                        client.put_blob(name, raw)
                        blobs[name] = raw
                    raw = secrets.token_bytes(random.randrange(300_000))
                    client.put_blob(digest(raw), raw)
                    blobs[digest(raw)] = raw
                    manifests[client.put_manifest(sealed.envelope)] = sealed.envelope

        writers = [threading.Thread(target=write) for _ in range(3)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.3, 0.9))
        process.end(signal.SIGKILL)
        for writer in writers:
            writer.join()
        client.close()
    assert blobs
    assert manifests
    process.start()
    with connect(process.folder, world["ada"]) as client:
        assert client.missing(list(blobs)) == []
        for name, raw in blobs.items():
            assert client.get_blob(name) == raw
        for name, raw in manifests.items():
            assert client.manifest(name) == raw
        assert {e.manifest for e in client.datasets()} >= set(manifests)
    assert process.end(signal.SIGTERM) == 0
    assert "Traceback" not in process.log


def test_sigterm_and_stop_end_it_cleanly(process):
    process.start()
    assert stop_process(process.folder)
    assert process.wait() == 0
    assert "stopped" in process.log
    token = CoordinatorFolder(process.folder).token()
    assert token not in process.log


def test_mistakes_end_with_their_exit_code_and_a_next_step(tmp_path, capsys):
    code = main(["--folder", str(tmp_path), "--host", EVERYWHERE])
    assert code == UsageError.exit_code
    said = capsys.readouterr()
    assert said.out == ""
    assert "next: add --name" in said.err


def test_the_document_can_be_printed(capsys):
    assert main(["--openapi"]) == 0
    assert '"openapi"' in capsys.readouterr().out
