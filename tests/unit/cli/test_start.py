"""What workers are told by `mc2 start --tee`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.amd_hierarchy import Amd
from tests.support.fake_tee import FakeMachine, snp_machine

from mc2.attestation.collect import choose
from mc2.attestation.collect.tees import TEES
from mc2.cli.start import _spark_arguments, _tpm_source, command, worker_command
from mc2.coordinator.__main__ import parser as coordinator_parser
from mc2.coordinator.__main__ import read_options
from mc2.coordinator.scheduler import Timeouts
from mc2.enclave.__main__ import _parser
from mc2.enclave.measured_code import ISOLATED
from mc2.errors import AttestationError, UsageError
from mc2.spark.__main__ import _parser as spark_parser


@pytest.mark.parametrize("tee", TEES)
@pytest.mark.parametrize("unconfined", [False, True])
def test_workers_understand_what_they_are_told(
    tee: str, unconfined: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("chain.pem").write_bytes(b"chain")
    given = (Path("tpm"), Path("chain.pem")) if tee == "tpm" else (None, None)
    source = _tpm_source(tee, *given, tmp_path / "log.json")
    words = worker_command(tmp_path, tee, source, unconfined=unconfined)
    asked = _parser().parse_args([*words[words.index("mc2.enclave") + 1 :], "--listen", "fd:3"])
    assert asked.tee == tee
    assert not asked.unsafe_simulation
    assert asked.unsafe_unconfined == unconfined
    if tee == "tpm":
        assert (asked.tpm, asked.tpm_chain) == (tmp_path / "tpm", tmp_path / "chain.pem")
        assert asked.tpm_log == tmp_path / "log.json"
        assert tuple(words[1 : 1 + len(ISOLATED)]) == ISOLATED


def test_options_of_a_tpm_are_for_a_tpm(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are for --tee tpm"):
        _tpm_source("auto", None, Path("chain.pem"), tmp_path)
    with pytest.raises(UsageError, match="certificates of its maker"):
        _tpm_source("tpm", Path("tpm"), None, tmp_path)


def test_every_tee_can_be_asked_for() -> None:
    (option,) = (p for p in command.params if p.name == "tee")
    assert list(option.type.choices) == [*TEES, "simulated"]


@pytest.mark.parametrize(
    ("given", "workers", "seconds"),
    [([], 0, 300), (["--workers-per-job", "2", "--home-seconds", "7"], 2, 7)],
)
def test_the_coordinator_hears_how_many_share_a_job_and_how_long_it_waits_for_homes(
    given: list[str], workers: int, seconds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[list[str]] = []
    monkeypatch.setattr("mc2.cli.start._run_here", lambda _, arguments: heard.append(arguments))
    words = ["--folder", str(tmp_path), "--foreground", "--workers", "0", *given]
    CliRunner().invoke(command, words, catch_exceptions=False)
    (arguments,) = heard
    asked = coordinator_parser().parse_args(arguments)
    assert (asked.workers_per_job, asked.home_seconds) == (workers, seconds)
    timeouts = read_options(asked).timeouts
    assert timeouts is not None
    assert timeouts.home == seconds
    assert (seconds == Timeouts().home) == (not given)


def test_workers_that_could_prove_nothing_are_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "LocalMachine", FakeMachine)
    started: list[str] = []
    monkeypatch.setattr("mc2.cli.start._run_here", lambda module, _: started.append(module))
    words = ["--folder", str(tmp_path / "new"), "--foreground"]
    with pytest.raises(AttestationError, match="no TEE") as caught:
        CliRunner().invoke(command, words, catch_exceptions=False)
    assert "--workers 0" in caught.value.hint
    assert not started
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(choose, "LocalMachine", lambda: snp_machine(Amd()))
    CliRunner().invoke(command, words, catch_exceptions=False)
    assert started == ["mc2.coordinator"]


def test_options_of_spark_are_for_spark() -> None:
    assert _spark_arguments("local", None, (), None) == []
    for given in (("m", (), None), (None, ("spark.a=b",), None), (None, (), "/blocks")):
        with pytest.raises(UsageError, match="are for --backend spark"):
            _spark_arguments("local", *given)
    with pytest.raises(UsageError, match="--ship are for --backend spark"):
        _spark_arguments("local", None, (), None, ship=True)
    with pytest.raises(UsageError, match="needs a master"):
        _spark_arguments("spark", None, (), None)


def test_what_spark_is_told_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mc2.spark.session.check_spark_installed", lambda: None)
    words = _spark_arguments("spark", "spark://host:7077", ("spark.executor.cores=2",), "s3://b/x")
    asked = spark_parser().parse_args(words)
    assert (asked.master, asked.block_storage) == ("spark://host:7077", "s3://b/x")
    assert asked.spark_conf == ["spark.executor.cores=2"]
    assert not asked.ship
    assert spark_parser().parse_args([*_spark_arguments("spark", "yarn", (), None, ship=True)]).ship
