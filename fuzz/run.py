"""Coverage-guided fuzzing of every parser with atheris, a process and some seconds each.

Each target takes bytes that may come from anybody. It may give a value or raise `Mc2Error`;
any other exception, a hang or a crash is a finding. Seeds are the vectors of the format.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def targets() -> dict[str, tuple[Callable[[bytes], object], str]]:
    """Name of a target: its parser, and the vectors to start from."""
    from tools.vectors import world

    from mc2.formats.bundle import JobBundle, Proof
    from mc2.formats.canonical import decode
    from mc2.formats.card import verify_card
    from mc2.formats.cluster import (
        Admission,
        EpochSecrets,
        Invitation,
        Probe,
        verify_member_evidence,
    )
    from mc2.formats.contract import verify_contract
    from mc2.formats.home import evidence_digest, verify_joined
    from mc2.formats.home_line import HomeTurn
    from mc2.formats.job import Approval
    from mc2.formats.linear_model import read_linear_model
    from mc2.formats.manifest import Manifest
    from mc2.formats.receipt import Receipt
    from mc2.formats.release import Challenge, Evidence, Grant
    from mc2.formats.result import Result
    from mc2.formats.schema import parse_type
    from mc2.formats.status import JobStatus
    from mc2.formats.task import TaskOrder, TaskReceipt
    from mc2.formats.training_message import parse as parse_training_message
    from mc2.formats.training_receipt import TrainingReceipt
    from mc2.formats.worker import parse_from_enclave, parse_from_host
    from mc2.plan.plan import Plan

    at = datetime(2026, 6, 1, tzinfo=UTC)

    def key_of(name: str) -> object:
        return world.signing_key(name).public

    found: dict[str, tuple[Callable[[bytes], object], str]] = {
        "canonical-json": (lambda raw: decode(raw, 1 << 20, "fuzz"), "canonical-json"),
        "card": (verify_card, "card"),
        "contract": (lambda raw: verify_contract(raw, at=at), "contract"),
        "job-bundle": (JobBundle.parse, ""),
        "proof": (Proof.parse, ""),
        "result": (Result.parse, ""),
        "plan": (Plan.parse, "plan"),
        "task-order": (TaskOrder.parse, "task-order"),
        "member-evidence": (verify_member_evidence, "member-evidence"),
        "epoch-secrets": (EpochSecrets.parse, ""),
        "home-evidence": (lambda raw: verify_joined(raw, key_of), "home-evidence"),
        "home-evidence-digest": (evidence_digest, "home-evidence"),
        "home-turn": (lambda raw: HomeTurn.frame_of(HomeTurn.parse(raw).frame), "home-turn"),
        "job-status": (lambda raw: JobStatus.read(decode(raw, 1 << 20, "fuzz")), "job-status"),
        "from-host": (lambda raw: parse_from_host(HomeTurn.frame_of(raw)), "worker-message"),
        "from-enclave": (lambda raw: parse_from_enclave(HomeTurn.frame_of(raw)), "worker-message"),
        "training-message": (parse_training_message, ""),
        "linear-model": (read_linear_model, ""),
        "column-type": (lambda raw: parse_type(raw.decode("utf-8", "replace")), ""),
    }
    for kind, vectors in (
        (Approval, "approval"),
        (Challenge, "challenge"),
        (Evidence, "evidence"),
        (Grant, "grant"),
        (Manifest, "manifest"),
        (Receipt, "receipt"),
        (TaskReceipt, "task-receipt"),
        (TrainingReceipt, "training-receipt"),
        (Invitation, "invitation"),
        (Admission, "admission"),
        (Probe, "probe"),
    ):
        found[vectors] = (lambda raw, kind=kind: kind.verify(raw, key_of), vectors)
        found[f"{vectors}-payload"] = (kind.parse, vectors)
    return found | evidence_targets()


def evidence_targets() -> dict[str, tuple[Callable[[bytes], object], str]]:
    """The parsers of vendors' evidence; genuine evidence is not in the repository."""
    from mc2.attestation.azure.evidence import AzureEvidence
    from mc2.attestation.azure.folder import read_azure_case
    from mc2.attestation.azure.hcl import parse_hcl_report
    from mc2.attestation.azure.runtime_data import parse_runtime_data
    from mc2.attestation.cbor import decode_cbor
    from mc2.attestation.dcap.collateral import parse_qe_identity, parse_tcb_info, split_signed
    from mc2.attestation.dcap.firmware import predict_mrtd
    from mc2.attestation.dcap.folder import read_collateral
    from mc2.attestation.dcap.pck import parse_pck_extension
    from mc2.attestation.dcap.quote import parse_quote
    from mc2.attestation.nitro.document import parse_document
    from mc2.attestation.nitro.image import predict_image
    from mc2.attestation.snp.certificate_table import read_certificate_table
    from mc2.attestation.snp.report import parse_report
    from mc2.attestation.tokens.confidential_space import read_space_token
    from mc2.attestation.tokens.jwt import parse_token
    from mc2.attestation.tpm.commands import read_response
    from mc2.attestation.tpm.eventlog import parse_event_log
    from mc2.attestation.tpm.evidence import TpmEvidence
    from mc2.attestation.tpm.structures import parse_attest, parse_public, parse_signature
    from mc2.attestation.tpm.uki import predict_uki
    from mc2.attestation.x509 import parse_certificate, parse_crl

    return {
        "certificate": (lambda raw: parse_certificate(raw, "fuzz"), ""),
        "revocation-list": (lambda raw: parse_crl(raw, "fuzz"), ""),
        "snp-report": (parse_report, ""),
        "snp-certificate-table": (lambda raw: read_certificate_table(raw, "VCEK"), ""),
        "cbor": (lambda raw: decode_cbor(raw, "fuzz"), ""),
        "nitro-document": (parse_document, ""),
        "space-token": (lambda raw: read_space_token(parse_token(raw)), ""),
        "intel-quote": (parse_quote, ""),
        "intel-answer": (lambda raw: split_signed(raw, "tcbInfo"), ""),
        "intel-tcb-info": (lambda raw: parse_tcb_info(raw, "TDX"), ""),
        "intel-qe-identity": (lambda raw: parse_qe_identity(raw, "SGX"), ""),
        "intel-collateral": (read_collateral, ""),
        "intel-pck-extension": (parse_pck_extension, ""),
        "tpm-attest": (parse_attest, ""),
        "tpm-public": (parse_public, ""),
        "tpm-signature": (parse_signature, ""),
        "tpm-response": (lambda raw: read_response(raw, with_handle=True), ""),
        "tpm-event-log": (lambda raw: parse_event_log(raw).replay("sha256"), ""),
        "tpm-evidence": (TpmEvidence.parse, ""),
        "azure-evidence": (AzureEvidence.parse, ""),
        "azure-hcl-report": (parse_hcl_report, ""),
        "azure-runtime-data": (parse_runtime_data, ""),
        "unified-kernel-image": (predict_uki, ""),
        "nitro-image": (predict_image, ""),
        "tdx-firmware": (predict_mrtd, ""),
        "azure-case": (lambda raw: read_azure_case({"evidence.json": raw}), ""),
    }


def fuzz_one(name: str, arguments: list[str]) -> None:
    """Run one target in this process; does not return."""
    import atheris

    with atheris.instrument_imports(include=["mc2"]):
        # The first import of the package: what it brings along must be instrumented too.
        from mc2.errors import Mc2Error

        parse, _ = targets()[name]

    def one(data: bytes) -> None:
        try:
            parse(data)
        except Mc2Error:
            return

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def write_seeds(folder: Path, vectors: str) -> None:
    """Put a format's vectors where libFuzzer finds them."""
    path = ROOT / "vectors" / f"{vectors}.json"
    for case in json.loads(path.read_text()) if vectors and path.exists() else []:
        raw = bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
        (folder / case["name"]).write_bytes(raw)


def main() -> int:
    """Fuzz every target, or one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--target", help="one target, in this process")
    options, rest = parser.parse_known_args()
    if options.target:
        fuzz_one(options.target, rest)
    failed = []
    for name, (_, vectors) in targets().items():
        with tempfile.TemporaryDirectory() as folder:
            write_seeds(Path(folder), vectors)
            command = [sys.executable, __file__, "--target", name]
            command += [f"-max_total_time={options.seconds}", "-timeout=10", "-rss_limit_mb=2048"]
            done = subprocess.run(
                [*command, f"-artifact_prefix={folder}/crash-", folder],
                capture_output=True,
                text=True,
                check=False,
            )
        sys.stderr.write(f"{name}: {'ok' if done.returncode == 0 else 'FOUND SOMETHING'}\n")
        if done.returncode != 0:
            failed.append(name)
            sys.stderr.write(done.stderr[-4000:] + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
