"""What `--tee` takes, and that nothing starts on less than was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fake_tee import FakeMachine

from mc2.attestation.collect import choose
from mc2.attestation.collect.tees import TEES
from mc2.enclave import __main__ as worker
from mc2.errors import AttestationError, UsageError


def collector(*arguments: str):
    asked = worker._parser().parse_args(["--listen", "unix:/x", *arguments])
    return worker._collector(asked, {})


@pytest.mark.parametrize("tee", [t for t in TEES if t not in {"auto", "tpm"}])
def test_a_machine_without_it_is_told_what_was_looked_for(
    tee: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "LocalMachine", FakeMachine)
    with pytest.raises(AttestationError, match=f"no {tee} that mc2 can use") as caught:
        collector("--tee", tee)
    assert "simulat" not in caught.value.hint


def test_a_tpm_needs_its_chain_and_its_device(tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    with pytest.raises(UsageError, match="certificates of its maker"):
        collector("--tee", "tpm")
    with pytest.raises(UsageError, match="cannot be read"):
        collector("--tee", "tpm", "--tpm-chain", str(chain))
    chain.write_bytes(b"")
    with pytest.raises(AttestationError, match="does not exist"):
        collector("--tee", "tpm", "--tpm-chain", str(chain), "--tpm", str(tmp_path / "none"))


@pytest.mark.parametrize("option", ["--tpm", "--tpm-chain"])
@pytest.mark.parametrize("tee", ["auto", "sev-snp"])
def test_options_of_a_tpm_are_for_a_tpm(option: str, tee: str) -> None:
    with pytest.raises(UsageError, match="are for --tee tpm"):
        collector("--tee", tee, option, "/x")


@pytest.mark.parametrize("tee", TEES)
def test_flags_of_the_simulation_are_for_the_simulation(tee: str) -> None:
    with pytest.raises(UsageError, match="no --tee simulated"):
        collector("--tee", tee, "--unsafe-simulation")
