"""Cases in folders: which kind, which time, and nothing of what the folder thinks of itself."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.support.amd_hierarchy import NOW, Amd
from tests.support.nitro_hierarchy import Nitro
from tests.support.space_tokens import Space

from mc2.attestation.folder import READERS, load_case
from mc2.attestation.snp.verify import SnpVerifier
from mc2.errors import EvidenceError, FormatError, UsageError


def snp_case(folder: Path, **expected: object) -> Path:
    folder.mkdir()
    raw = Amd().evidence()
    (folder / "report.bin").write_bytes(raw.evidence)
    for name, der in raw.endorsements.items():
        (folder / f"{name}.der").write_bytes(der)
    if expected:
        (folder / "expected.json").write_text(json.dumps(expected))
    return folder


def test_each_kind_is_known_by_its_files(tmp_path: Path) -> None:
    nitro, token = tmp_path / "nitro", tmp_path / "token"
    nitro.mkdir()
    token.mkdir()
    (nitro / "document.cbor").write_bytes(Nitro().document())
    (token / "token.jwt").write_bytes(Space().evidence()[0].evidence)
    kinds = [load_case(folder)[0].kind for folder in (snp_case(tmp_path / "snp"), nitro, token)]
    assert kinds == ["amd-sev-snp/v1", "aws-nitro/v1", "google-confidential-space/v1"]
    assert all(reader.files for reader in READERS)


def test_a_verdict_in_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = snp_case(tmp_path / "case", result="valid", verify_at="2026-11-23T12:00:00Z")
    report = bytearray((folder / "report.bin").read_bytes())
    report[0x90] ^= 1
    (folder / "report.bin").write_bytes(bytes(report))
    raw, at = load_case(folder)
    assert at == NOW
    with pytest.raises(EvidenceError, match="signature of the SNP report is false"):
        SnpVerifier(roots=Amd().pins()).verify(raw, at=at)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-11-23T12:00:00Z", NOW),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (1750246292, datetime(2025, 6, 18, 11, 31, 32, tzinfo=UTC)),
        (None, None),
        (1.5, None),
    ],
)
def test_times_are_text_or_seconds(tmp_path: Path, written: object, read: object) -> None:
    assert load_case(snp_case(tmp_path / "case", verify_at=written))[1] == read


def test_no_time_is_no_time(tmp_path: Path) -> None:
    assert load_case(snp_case(tmp_path / "case"))[1] is None


@pytest.mark.parametrize("written", ["today", "2026-11-23T12:00:00", "2026-11-23 12:00:00Z"])
def test_odd_times_are_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(FormatError, match="verify_at"):
        load_case(snp_case(tmp_path / "case", verify_at=written))


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b'{"verify_at": 99999999999999999999}'])
def test_odd_expectations_are_refused(tmp_path: Path, raw: bytes) -> None:
    folder = snp_case(tmp_path / "case")
    (folder / "expected.json").write_bytes(raw)
    with pytest.raises(UsageError, match="not JSON with a time"):
        load_case(folder)


def test_shared_roots_stand_beside_the_case(tmp_path: Path) -> None:
    folder = snp_case(tmp_path / "case")
    (tmp_path / "amd-roots").mkdir()
    with (tmp_path / "amd-roots" / "genoa.pem").open("wb") as file:
        for name in ("ask", "ark"):
            der = (folder / f"{name}.der").read_bytes()
            file.write(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
            (folder / f"{name}.der").unlink()
    raw, _ = load_case(folder)
    SnpVerifier(roots=Amd().pins()).verify(raw, at=NOW)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no evidence of a known sort") as caught:
        load_case(tmp_path)
    assert "report.bin" in caught.value.hint
    with pytest.raises(UsageError, match="cannot be read"):
        load_case(tmp_path / "nowhere")
    (tmp_path / "report.bin").write_bytes(bytes(5 << 20))
    with pytest.raises(UsageError, match="larger than"):
        load_case(tmp_path)


def test_absurd_folders_are_refused(tmp_path: Path) -> None:
    for number in range(65):
        (tmp_path / f"{number}.bin").touch()
    with pytest.raises(UsageError, match="more than 64 files"):
        load_case(tmp_path)
