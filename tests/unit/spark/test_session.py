from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mc2.errors import UsageError
from mc2.spark import backend
from mc2.spark.__main__ import main
from mc2.spark.processes import ProcessWatch, executor_of_this_task
from mc2.spark.session import check_spark_installed, one_task_each, with_retries


def test_local_masters_try_again() -> None:
    assert with_retries("local[2]") == "local[2,4]"
    assert with_retries("local[*]") == "local[*,4]"
    for master in ("local[2,1]", "spark://host:7077", "yarn", "k8s://https://host"):
        assert with_retries(master) == master


def test_an_executor_has_one_task_at_a_time() -> None:
    assert one_task_each({"spark.executor.cores": "8"}) == {"spark.task.cpus": "8"}
    assert one_task_each({}) == {}


def test_a_connect_session_is_refused() -> None:
    with pytest.raises(UsageError, match="Connect"):
        backend(object(), storage="/nowhere")


def test_the_client_alone_is_not_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match="not installed"):
        check_spark_installed()


def test_a_setting_has_a_name_and_a_value(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    assert main(["--folder", str(tmp_path), "--spark-conf", "cores=1"]) == UsageError.exit_code
    assert "no setting of Spark" in capsys.readouterr().err


def test_a_process_is_watched_to_its_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        watch = ProcessWatch.of(process.pid)
        assert watch.alive
        process.communicate(b"\n")
        watch.wait()
    assert not watch.alive
    assert not ProcessWatch(os.getpid(), "another moment").alive


def test_without_a_jvm_the_executor_is_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        monkeypatch.setattr("os.getppid", lambda: parent.pid)
        assert executor_of_this_task() == ProcessWatch.of(parent.pid)
        parent.communicate(b"\n")
