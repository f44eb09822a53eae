"""Which collector is taken, and that nothing weaker ever is."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from tests.support.amd_hierarchy import Amd
from tests.support.fake_tee import (
    FakeGramine,
    FakeMachine,
    FakeNsm,
    FakeSevGuest,
    quote_over,
    snp_machine,
    tdx_machine,
)
from tests.support.intel_hierarchy import Intel, Td
from tests.support.nitro_hierarchy import Nitro

from mc2.attestation.claims import Tier
from mc2.attestation.collect import choose as chooser
from mc2.attestation.collect.choose import choose, survey
from mc2.attestation.collect.configfs_tsm import SnpTsmCollector, TdxTsmCollector
from mc2.attestation.collect.gramine import GramineCollector
from mc2.attestation.collect.machine import LocalMachine
from mc2.attestation.collect.nsm import NsmCollector
from mc2.attestation.collect.sev_guest import SevGuestCollector
from mc2.attestation.collect.tees import AUTO, TEES, TPM, TPM_DEVICE, TpmSource
from mc2.attestation.tpm.collector import TpmCollector
from mc2.errors import AttestationError, UsageError

SGX = FakeGramine(lambda data: quote_over(Intel(), data))
MACHINES = {
    "sgx": (SGX, GramineCollector),
    "sev-snp": (snp_machine(Amd()), SnpTsmCollector),
    "tdx": (tdx_machine(Intel(body=Td(), version=4)), TdxTsmCollector),
    "nitro": (FakeNsm(Nitro()), NsmCollector),
}


class Both:
    """Two machines in one."""

    def __init__(self, *machines: FakeMachine) -> None:
        self._machines = machines

    def exists(self, path: str) -> bool:
        return any(m.exists(path) for m in self._machines)

    def open(self, path, access):
        return next(m for m in self._machines if m.exists(path)).open(path, access)

    def make_folder(self, path: str) -> None:
        self._machines[-1].make_folder(path)

    def remove_folder(self, path: str) -> None:
        self._machines[-1].remove_folder(path)

    def pause(self, seconds: float) -> None:
        pass


def test_every_name_has_a_source_and_a_hint() -> None:
    assert dict.fromkeys(name for name, _ in chooser._SOURCES) == dict.fromkeys(TEES[1:-1])
    assert (TEES[0], TEES[-1]) == (AUTO, TPM)
    assert chooser._HINTS.keys() == set(TEES) - {AUTO}
    assert "simulated" not in TEES


@pytest.mark.parametrize("name", MACHINES)
def test_finds_what_was_asked_for(name: str) -> None:
    machine, kind = MACHINES[name]
    assert type(choose(name, machine)) is kind
    assert type(choose(AUTO, machine)) is kind


@pytest.mark.parametrize("name", TEES[1:-1])
@pytest.mark.parametrize("other", MACHINES)
def test_never_takes_another(name: str, other: str) -> None:
    if name == other:
        return
    with pytest.raises(AttestationError, match=f"no {name} that") as caught:
        choose(name, MACHINES[other][0])
    assert caught.value.hint
    assert ": " in str(caught.value)


def test_auto_takes_the_strongest() -> None:
    nitro, sgx, snp = FakeNsm(Nitro()), SGX, snp_machine(Amd())
    assert isinstance(choose(AUTO, Both(nitro, snp)), SnpTsmCollector)
    assert isinstance(choose(AUTO, Both(nitro, sgx)), GramineCollector)
    assert isinstance(choose(AUTO, Both(sgx, snp)), GramineCollector)
    tiers = [found.tier for found in survey(FakeMachine())]
    assert tiers == sorted(tiers, reverse=True)


def test_snp_prefers_configfs_and_falls_back_to_the_same_kind() -> None:
    device, configfs = FakeSevGuest(Amd()), snp_machine(Amd())
    assert isinstance(choose("sev-snp", Both(device, configfs)), SnpTsmCollector)
    assert isinstance(choose("sev-snp", device), SevGuestCollector)
    configfs.failures["mkdir"] = [errno.ENXIO]
    assert isinstance(choose("sev-snp", Both(device, configfs)), SevGuestCollector)


def test_nothing_there_lists_what_was_looked_for() -> None:
    with pytest.raises(AttestationError) as caught:
        choose(AUTO, FakeMachine())
    said = str(caught.value)
    for words in (
        "no TEE",
        "sgx by Gramine",
        "sev-snp by configfs-tsm: /sys/kernel/config/tsm/report does not exist",
        "sev-snp by guest device: /dev/sev-guest does not exist",
        "tdx by configfs-tsm",
        "nitro by security module: /dev/nsm does not exist",
    ):
        assert words in said
    assert "doctor" in caught.value.hint
    assert "tpm" not in said


def test_a_device_that_is_there_and_closed_is_told_apart() -> None:
    machine = snp_machine(Amd())
    machine.failures["mkdir"] = [errno.EACCES]
    with pytest.raises(AttestationError, match="Permission denied") as caught:
        choose("sev-snp", machine)
    assert "as root" in caught.value.hint


@pytest.mark.parametrize("name", ["", "simulated", "snp", "AUTO"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no TEE"):
        choose(name, SGX)


def test_a_tpm_is_taken_only_by_name_and_with_its_chain(tmp_path: Path) -> None:
    device = tmp_path / "tpm"
    with pytest.raises(UsageError, match="certificates of its maker"):
        choose(TPM, SGX)
    with pytest.raises(AttestationError, match="does not exist"):
        choose(TPM, SGX, tpm=TpmSource(device, b"chain", tmp_path / "log", tmp_path / "chain"))
    device.touch()
    found = choose(TPM, SGX, tpm=TpmSource(device, b"chain", tmp_path / "log", tmp_path / "chain"))
    assert isinstance(found, TpmCollector)
    assert found.tier == Tier.MEASURED_BOOT
    with pytest.raises(AttestationError):
        choose(
            AUTO,
            FakeMachine(),
            tpm=TpmSource(device, b"chain", tmp_path / "log", tmp_path / "chain"),
        )
    assert Path("/dev/tpmrm0") == TPM_DEVICE


def test_survey_says_how_each_source_stands(tmp_path: Path) -> None:
    found = {(f.tee, f.source): f for f in survey(snp_machine(Amd()))}
    assert found["sev-snp", "configfs-tsm"].why_not == ""
    assert "'sev_guest'" in found["tdx", "configfs-tsm"].why_not
    assert found["nitro", "security module"].kind == "aws-nitro/v1"
    assert all(f.why_not for f in survey(LocalMachine(tmp_path)))
