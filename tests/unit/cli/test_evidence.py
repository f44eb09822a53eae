"""`mc2 evidence verify` over genuine and synthetic evidence."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.amd_hierarchy import NOW, Amd
from tests.support.command_line import CommandLine
from tests.support.vectors import VECTORS, expected, needs_vectors

import mc2.attestation.vendors
from mc2.attestation.snp.verify import SnpVerifier
from mc2.client.endorsements import EndorsementCache
from mc2.client.endorsements_fetch import Vendors
from mc2.client.endorsements_import import check_evidence
from mc2.client.policy_defaults import KINDS, proposal
from mc2.client.policy_new import toml

# Genuine, and refused by the source of the vector because of its own policy, not of a signature:
# here that is a matter of a policy as well.
BY_POLICY = {
    "sgx-v3-occlum-debug": "debug",
    "tdx-v4-azure-no-septve": "SEPT_VE_DISABLE",
    "tdx-v5-alibaba-servicetd": "service TD",
}
# No evidence of a kind that a folder can hold, or not all of it.
APART = {
    "tpm-coco": "the evidence of another attester, whose key nobody certified",
    "tpm-swtpm-local": "without the values of the registers",
    "transparency-rekor-oak": "an entry in a log",
}


def verdicts() -> dict[str, str]:
    if not VECTORS.is_dir():
        return {}
    results = {
        path.name: str(expected(path.name).get("result"))
        for path in sorted(VECTORS.iterdir())
        if path.is_dir()
    }
    return {n: r for n, r in results.items() if r in {"valid", "invalid"} and n not in APART}


@pytest.fixture
def mc2_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> CommandLine:
    monkeypatch.setenv("MC2_HOME", str(tmp_path / "home"))
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def amd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a synthetic report, whose root counts here."""
    amd = Amd(revoked=())
    monkeypatch.setattr(
        mc2.attestation.vendors, "vendor_verifiers", lambda: (SnpVerifier(amd.pins()),)
    )
    raw = amd.evidence()
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "report.bin").write_bytes(raw.evidence)
    for name, der in raw.endorsements.items():
        (folder / f"{name}.der").write_bytes(der)
    (folder / "expected.json").write_text(
        json.dumps({"result": "invalid", "verify_at": "2026-11-23T12:00:00Z"})
    )
    return folder


def policy_file(path: Path, claims: dict[str, Any], **changes: Any) -> Path:
    """The proposed policy for these claims' own code."""
    kind = claims["kind"]
    own = {f.field: [claims["measurements"][f.claim]] for f in KINDS[kind].own}
    section = {**proposal(kind, own), **changes}
    lines = [f'[attestation."{kind}"]', *(f"{k} = {toml(v)}" for k, v in section.items())]
    path.write_text("\n".join(lines))
    return path


@needs_vectors
@pytest.mark.parametrize("case", verdicts())
def test_the_exit_code_is_the_verdict(case: str, mc2_command: CommandLine, tmp_path: Path) -> None:
    done = mc2_command("evidence", "verify", VECTORS / case, "--json")
    if case not in BY_POLICY:
        assert done.code == (0 if verdicts()[case] == "valid" else 8), done.err
        return
    assert done.code == 0
    assert any(BY_POLICY[case] in warning for warning in done.json["warnings"])
    file = policy_file(tmp_path / "policy.toml", done.json)
    done = mc2_command("evidence", "verify", VECTORS / case, "--policy", file, "--json")
    assert done.code == 8
    assert any(BY_POLICY[case] in failure for failure in done.error["failures"])


@needs_vectors
@pytest.mark.parametrize("case", sorted({*APART, "amd-roots", "jwt-azure-maa-parse-only"}))
def test_what_is_no_whole_evidence_is_never_accepted(case: str, mc2_command: CommandLine) -> None:
    assert mc2_command("evidence", "verify", VECTORS / case).code in {2, 8}


def test_claims_are_printed(amd: Path, mc2_command: CommandLine) -> None:
    done = mc2_command("evidence", "verify", amd, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert found["kind"] == "amd-sev-snp/v1"
    assert found["measurements"] == {"MEASUREMENT": (b"m" * 48).hex()}
    assert found["details"]["product_line"] == "Genoa"
    assert found["from_the_cache"] == []
    assert found["binding"].startswith("not checked")
    assert found["policy"].startswith("none was given")
    text = mc2_command("evidence", "verify", amd).out
    assert (b"m" * 48).hex() in text
    assert "not checked" in text


def test_the_folders_own_verdict_and_time(amd: Path, mc2_command: CommandLine) -> None:
    late = (NOW + timedelta(days=400)).isoformat()
    done = mc2_command("evidence", "verify", amd, "--at", late, "--json")
    assert done.code == 8
    assert "ended on" in done.error["message"]
    (amd / "expected.json").write_text('{"result": "valid"}')
    report = bytearray((amd / "report.bin").read_bytes())
    report[0x90] ^= 1
    (amd / "report.bin").write_bytes(bytes(report))
    assert mc2_command("evidence", "verify", amd, "--at", NOW.isoformat()).code == 8
    assert mc2_command("evidence", "verify", amd, "--at", "soon").code == 2


def test_policies_are_applied(amd: Path, mc2_command: CommandLine, tmp_path: Path) -> None:
    claims = mc2_command("evidence", "verify", amd, "--json").json
    good = policy_file(tmp_path / "good.toml", claims)
    done = mc2_command("evidence", "verify", amd, "--policy", good, "--json")
    assert done.code == 0, done.err
    assert done.json["policy"] == "accepted"
    assert done.json["binding"].startswith("not checked")
    assert "minimum tier" in done.json["warnings"][0]
    other = policy_file(tmp_path / "other.toml", claims, measurements=["00" * 48], max_vmpl=0,
                        product_lines=["Turin"], min_tcb={"Turin": dict.fromkeys(("fmc", "bl", "tee", "snp", "ucode"), 0)})  # fmt: skip
    done = mc2_command("evidence", "verify", amd, "--policy", other, "--json")
    assert done.code == 8
    assert [f.split(":")[0] for f in done.error["failures"]] == ["MEASUREMENT", "product_line"]


def test_a_contracts_minimum_tier_counts(
    amd: Path, mc2_command: CommandLine, tmp_path: Path
) -> None:
    claims = mc2_command("evidence", "verify", amd, "--json").json
    file = policy_file(tmp_path / "policy.toml", claims)
    file.write_text('min_tier = "hardware-enclave"\n' + file.read_text())
    done = mc2_command("evidence", "verify", amd, "--policy", file, "--json")
    assert done.code == 8
    assert "tier: hardware-cvm is below" in done.error["message"]


@pytest.mark.parametrize("with_policy", [False, True])
def test_the_binding_is_checked_when_asked(
    amd: Path, mc2_command: CommandLine, tmp_path: Path, *, with_policy: bool
) -> None:
    claims = mc2_command("evidence", "verify", amd, "--json").json
    more = ["--policy", policy_file(tmp_path / "p.toml", claims)] if with_policy else []
    right = (b"r" * 64).hex()
    done = mc2_command("evidence", "verify", amd, *more, "--report-data", right, "--json")
    assert done.code == 0, done.err
    assert done.json["binding"].startswith("checked")
    done = mc2_command("evidence", "verify", amd, *more, "--report-data", "00" * 64, "--json")
    assert done.code == 8
    assert done.error["failures"][0].startswith("binding")
    for odd in ("xy", "00" * 63, "00" * 65, ""):
        assert mc2_command("evidence", "verify", amd, *more, "--report-data", odd).code == 2


def test_debug_is_said_loudly_and_refused_by_every_policy(
    mc2_command: CommandLine, amd: Path, tmp_path: Path
) -> None:
    debug = Amd(revoked=()).guest_but(policy=0xB0000)
    (amd / "report.bin").write_bytes(debug.report())
    done = mc2_command("evidence", "verify", amd, "--json")
    assert done.code == 0
    assert done.json["debug"] is True
    assert done.json["warnings"][0].startswith("debug")
    file = policy_file(tmp_path / "p.toml", done.json)
    done = mc2_command("evidence", "verify", amd, "--policy", file, "--json")
    assert done.code == 8
    assert done.error["failures"] == ["debug: the enclave's host can look inside"]


def test_the_cache_completes_a_folder(amd: Path, mc2_command: CommandLine, tmp_path: Path) -> None:
    for name in ("vcek", "ask", "ark", "crl"):
        (amd / f"{name}.der").unlink()
    done = mc2_command("evidence", "verify", amd, "--json")
    assert done.code == 8
    assert "comes without ark, ask, vcek" in done.error["message"]
    whole = Amd(revoked=())
    found = check_evidence(whole.evidence(), Vendors(amd_roots=whole.pins()), at=NOW)
    EndorsementCache(tmp_path / "home" / "endorsements").keep(found, now=NOW, source="a test")
    done = mc2_command("evidence", "verify", amd, "--json")
    assert done.code == 0, done.err
    assert done.json["from_the_cache"] == ["ark", "ask", "crl", "vcek"]


def test_nothing_to_verify(mc2_command: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert mc2_command("evidence", "verify", tmp_path / "empty").code == 2
    assert mc2_command("evidence", "verify", tmp_path / "nowhere").code == 2
