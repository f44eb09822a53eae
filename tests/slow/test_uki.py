"""A machine that boots a unified kernel image runs a job, and proves from inside what it booted.

Nothing is played: QEMU runs OVMF, which measures the image into a software TPM; owners predict
the registers from the file alone, and grant only after the machine's own quote and activation.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.swtpm import SoftwareTpm, needs_swtpm
from tests.support.virtual_machine import (
    VirtualMachine,
    boot,
    kernel_version,
    needs_virtual_machine,
)
from tests.support.wheels import build_wheel, snapshot
from tests.support.world import SCRIPT, World, world

from mc2.attestation.claims import Tier
from mc2.attestation.pem import split_pem
from mc2.attestation.tpm.uki import predict_uki
from mc2.cli.demo.stage import answering
from mc2.client.downloads import Destination
from mc2.client.measure import measure_uki, section
from mc2.coordinator.scheduler import Timeouts
from mc2.coordinator.worker_pool import WorkerAddress, WorkerPool
from mc2.errors import JobError

REPOSITORY = Path(__file__).parents[2]
TPM = "tpm2-quote/v1"
JOB_SECONDS = 900.0

pytestmark = [pytest.mark.slow, needs_swtpm, needs_virtual_machine, pytest.mark.timeout(3000)]


@dataclass(frozen=True)
class Built:
    """An image, what of mc2 is in it, and the TPM that it is for."""

    image: Path
    wheel: Path
    tpm: SoftwareTpm


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("uki")
    tpm = SoftwareTpm.make(folder / "tpm")
    (folder / "chain.pem").write_bytes(tpm.chain())
    wheel = build_wheel(snapshot(folder / "commit"), folder / "wheel")
    build_image(wheel, folder / "chain.pem", folder / "mc2.efi")
    return Built(folder / "mc2.efi", wheel, tpm)


def build_image(wheel: Path, chain: Path, out: Path) -> None:
    version = kernel_version()
    assert version is not None
    subprocess.run(
        [
            sys.executable, str(REPOSITORY / "deploy" / "uki" / "build.py"), "--wheel", str(wheel),
            "--kernel-version", version, "--chain", str(chain), "--out", str(out),
        ],
        check=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def machine(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualMachine]:
    with boot(built.image, tmp_path_factory.mktemp("vm"), built.tpm.state) as running:
        running.wait_for("listens at")
        yield running


def policy(built: Built, image: Path | None = None) -> dict[str, object]:
    """The section that `mc2 measure uki` writes, with the root of the TPM's maker."""
    root = split_pem(built.tpm.chain(), "the chain", most=2)[-1]
    setting = f"roots=sha256:{hashlib.sha256(root).hexdigest()}"
    found = tomllib.loads(section(measure_uki(image or built.image), [setting]))
    return dict(found["attestation"][TPM])


def agree(found: World, attestation: dict[str, object]) -> None:
    found.agree(min_tier="measured-boot", attestation={TPM: attestation})
    found.bring()


@pytest.fixture
def owners(machine: VirtualMachine, tmp_path: Path) -> Iterator[World]:
    """A collaboration whose only worker is the machine; nobody believes in simulations."""
    source = WorkerAddress(f"tcp:127.0.0.1:{machine.port}")
    timeouts = Timeouts(attest=JOB_SECONDS)
    with (
        WorkerPool((source,)) as pool,
        world(tmp_path, timeouts=timeouts, workers=lambda _: pool) as found,
    ):
        yield found


def run(found: World) -> str:
    job_id = found.propose(SCRIPT)
    found.approve(job_id)
    with answering(found.ada, found.bo):
        found.cy.run(job_id, timeout=timedelta(seconds=JOB_SECONDS))
    return job_id


def test_owners_grant_to_the_image_that_they_predicted(
    built: Built, owners: World, tmp_path: Path
) -> None:
    agree(owners, policy(built))
    done = owners.ada.download(run(owners), Destination(tmp_path / "results"))
    assert set(done.files) == {"visits"}
    claims = done.job.appraised.claims
    assert (claims.kind, claims.tier) == (TPM, Tier.MEASURED_BOOT)
    predicted = predict_uki(built.image.read_bytes()).pcrs
    assert {n: claims.measurements[f"PCR{n}"] for n in predicted} == {
        n: value.hex() for n, value in predicted.items()
    }


def test_owners_refuse_an_image_that_they_did_not_predict(
    built: Built, owners: World, tmp_path: Path
) -> None:
    raw = bytearray(built.image.read_bytes())
    at = raw.index(b"quiet")  # a word of the kernel's command line
    raw[at] ^= 1
    other = tmp_path / "other.efi"
    other.write_bytes(raw)
    assert predict_uki(bytes(raw)).pcrs != predict_uki(built.image.read_bytes()).pcrs
    agree(owners, policy(built, other))
    with pytest.raises(JobError):
        run(owners)


def test_an_image_is_the_same_when_it_is_built_again(built: Built, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(built.tpm.chain())
    build_image(built.wheel, tmp_path / "chain.pem", tmp_path / "again.efi")
    assert (tmp_path / "again.efi").read_bytes() == built.image.read_bytes()
