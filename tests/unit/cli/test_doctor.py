"""What doctor says of hardware."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.amd_hierarchy import Amd
from tests.support.fake_tee import FakeMachine, snp_machine

from mc2.attestation.collect import choose, tees
from mc2.cli import doctor


def test_names_every_source_and_why_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "LocalMachine", FakeMachine)
    monkeypatch.setattr(tees, "TPM_DEVICE", Path("/nowhere/tpm"))
    found = doctor._hardware()
    assert {f.state for f in found} == {"note"}
    said = {f.what: f.detail for f in found}
    assert said["sev-snp by guest device"] == "/dev/sev-guest does not exist"
    assert {w.partition(" by ")[0] for w in said} >= {"sgx", "sev-snp", "tdx", "nitro", "tpm"}
    assert "--unsafe-simulation" in found[-1].hint


def test_says_what_can_be_attested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    device = tmp_path / "tpmrm0"
    device.touch()
    monkeypatch.setattr(choose, "LocalMachine", lambda: snp_machine(Amd()))
    monkeypatch.setattr(tees, "TPM_DEVICE", device)
    good = {f.what: f.detail for f in doctor._hardware() if f.state == "ok"}
    assert good.keys() == {"sev-snp by configfs-tsm", "tpm"}
    assert good["sev-snp by configfs-tsm"] == "gives amd-sev-snp/v1, tier hardware-cvm"
    assert "does not keep the host out" in good["tpm"]


def test_a_party_learns_whether_scripts_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor._scripts().state == "ok"
    monkeypatch.setattr("sys.executable", "/bin/false")
    found = doctor._scripts()
    assert found.state == "missing"
    assert "died" in found.detail
