"""What workers are told by `mc2 start --tee`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mc2.attestation.collect.tees import TEES
from mc2.cli.start import _tpm_options, _worker_command, command
from mc2.enclave.__main__ import _parser
from mc2.errors import UsageError


@pytest.mark.parametrize("tee", TEES)
def test_workers_understand_what_they_are_told(
    tee: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = (Path("tpm"), Path("chain.pem")) if tee == "tpm" else (None, None)
    words = [*_worker_command(tmp_path, tee), *_tpm_options(tee, *given)]
    asked = _parser().parse_args([*words[3:], "--listen", "fd:3"])
    assert asked.tee == tee
    assert not asked.unsafe_simulation
    if tee == "tpm":
        assert (asked.tpm, asked.tpm_chain) == (tmp_path / "tpm", tmp_path / "chain.pem")


def test_options_of_a_tpm_are_for_a_tpm() -> None:
    with pytest.raises(UsageError, match="are for --tee tpm"):
        _tpm_options("auto", None, Path("chain.pem"))
    with pytest.raises(UsageError, match="certificates of its maker"):
        _tpm_options("tpm", Path("tpm"), None)
    assert _tpm_options("tpm", None, Path("/c")) == ["--tpm-chain", "/c"]


def test_every_tee_can_be_asked_for() -> None:
    (option,) = (p for p in command.params if p.name == "tee")
    assert list(option.type.choices) == [*TEES, "simulated"]
