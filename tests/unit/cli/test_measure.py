"""`mc2 measure`: values as they come out of images, and policies that `mc2 policy check` takes."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest
from tests.support.command_line import CommandLine
from tests.support.machine_images import eif, tdvf
from tests.support.pe_images import deploy_script, pe_image, stub
from tests.support.vectors import VECTORS, needs_vectors

ROOT = "sha256:" + "ab" * 32
SNP, SGX, TPM = "amd-sev-snp/v1", "intel-sgx/v1", "tpm2-quote/v1"
TDX_KIND, NITRO = "intel-tdx/v1", "aws-nitro/v1"
DIGEST_21 = (
    "329c8ce0972ae52343b64d34a434a86f245dfd74f5ed7aae15d22efc78fb9683"
    "632b9b50e4e1d7fa41179ef98a7ef198"
)
DIGEST_1 = (
    "ddc5224521617a536ee7ce9dd6224d1b58a8d4fda1c741f3ac99fc4bfa04ba6e"
    "9fc98646d4a07a9079397fa3852819b5"
)
MRENCLAVE = bytes(range(32))


@pytest.fixture
def mc2_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "mc2.efi"
    kernel = pe_image((".text", b"kernel"))
    path.write_bytes(deploy_script("pe").add_sections(stub(), [(".linux", kernel)]))
    return path


def sigstruct(*, header: bytes = bytes.fromhex("06000000e100000000000100")) -> bytes:
    raw = bytearray(1808)
    raw[:12] = header
    raw[24:40] = bytes.fromhex("01010000600000006000000001000000")
    raw[960:992] = MRENCLAVE
    return bytes(raw)


# --- unified kernel images


def test_an_image_becomes_a_policy_that_is_in_order(
    mc2_command: CommandLine, tmp_path: Path, image: Path
) -> None:
    out = tmp_path / "tpm.toml"
    done = mc2_command("measure", "uki", image, "--set", f"roots={ROOT}", "--out", out, "--json")
    assert done.code == 0
    section = tomllib.loads(out.read_text())["attestation"][TPM]
    assert section["pcrs"] == done.json["values"]["pcrs"]
    assert set(section["pcrs"]) == {"4", "11"}
    assert mc2_command("policy", "check", out).code == 0
    assert mc2_command("measure", "uki", image, "--out", out).code == 2  # it exists already


def test_what_no_measurement_gives_is_left_to_fill_in(
    mc2_command: CommandLine, tmp_path: Path, image: Path
) -> None:
    done = mc2_command("measure", "uki", image)
    assert done.code == 0
    assert "# FILL IN: roots" in done.out
    out = tmp_path / "tpm.toml"
    out.write_text(done.out)
    assert mc2_command("policy", "check", out).code == 3


def test_an_image_of_something_else_is_refused(mc2_command: CommandLine, tmp_path: Path) -> None:
    other = tmp_path / "kernel"
    other.write_bytes(pe_image((".text", b"x")))
    assert mc2_command("measure", "uki", other, "--json").error["code"] == "format"
    assert mc2_command("measure", "uki", tmp_path / "none", "--json").error["code"] == "usage"


# --- TDX and Nitro


@pytest.mark.parametrize(
    ("kind", "raw", "names", "section"),
    [
        ("tdx", tdvf([(bytes(4096), 0xFFC00000, 4096, 1)]), {"mrtd"}, TDX_KIND),
        (
            "nitro",
            eif([(1, b"kernel"), (2, b"quiet"), (3, b"init"), (3, b"app")]),
            {"pcr0"},
            NITRO,
        ),
    ],
)
def test_firmware_and_images_become_sections(
    mc2_command: CommandLine,
    tmp_path: Path,
    kind: str,
    raw: bytes,
    names: set[str],
    section: str,
) -> None:
    file, out = tmp_path / "file", tmp_path / "policy.toml"
    file.write_bytes(raw)
    done = mc2_command("measure", kind, file, "--out", out, "--json")
    assert done.code == 0
    assert set(done.json["values"]) == names
    found = tomllib.loads(out.read_text())["attestation"][section]
    assert {name: found[name] for name in names} == done.json["values"]
    file.write_bytes(raw[:-1])
    assert mc2_command("measure", kind, file, "--json").error["code"] == "format"


@needs_vectors
def test_the_log_of_a_boot_gives_rtmrs(mc2_command: CommandLine, tmp_path: Path) -> None:
    firmware, out = tmp_path / "OVMF.fd", tmp_path / "tdx.toml"
    firmware.write_bytes(tdvf([(bytes(4096), 0xFFC00000, 4096, 1)]))
    log = VECTORS / "eventlog-tdx-ccel-live" / "ccel.bin"
    done = mc2_command("measure", "tdx", firmware, "--event-log", log, "--out", out, "--json")
    assert done.code == 0
    assert set(done.json["values"]) == {"mrtd", "rtmr0", "rtmr1", "rtmr2"}
    assert mc2_command("policy", "check", out).code == 0
    other = mc2_command("measure", "tdx", firmware, "--event-log", log, "--initrd", log, "--json")
    assert other.error["code"] == "format"
    alone = mc2_command("measure", "tdx", firmware, "--append", "quiet", "--json")
    assert alone.error["code"] == "usage"


# --- SEV-SNP


@needs_vectors
@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("0x21", DIGEST_21),
        ("0x1", DIGEST_1),
    ],
)
def test_a_launch_digest_is_what_its_makers_tests_expect(
    mc2_command: CommandLine, tmp_path: Path, features: str, expected: str
) -> None:
    firmware, empty = VECTORS / "measure-snp-ovmf" / "ovmf_AmdSev_suffix.bin", tmp_path / "empty"
    empty.write_bytes(b"")
    out = tmp_path / "snp.toml"
    done = mc2_command(
        "measure", "snp", "--firmware", firmware, "--kernel", empty, "--initrd", empty,
        "--vcpus", "1", "--guest-features", features, "--out", out, "--json",
    )  # fmt: skip
    assert done.code == 0
    assert done.json["values"] == {"measurements": [expected]}
    assert tomllib.loads(out.read_text())["attestation"][SNP]["measurements"] == [expected]
    assert mc2_command("policy", "check", out).code == 0


@needs_vectors
def test_another_number_of_processors_is_another_digest(mc2_command: CommandLine) -> None:
    firmware = VECTORS / "measure-snp-ovmf" / "ovmf_OvmfX64_suffix.bin"
    found = {
        mc2_command(
            "measure", "snp", "--firmware", firmware, "--vcpus", count, "--json"
        ).json["values"]["measurements"][0]
        for count in ("1", "2", "4")
    }  # fmt: skip
    assert len(found) == 3


@pytest.mark.parametrize(
    "options",
    [
        ("--vcpus", "1", "--vcpu-type", "Pentium"),
        ("--vcpus", "1", "--append", "quiet"),
        ("--vcpus", "1", "--guest-features", "many"),
        ("--vcpus", "1", "--kernel", "/nowhere"),
    ],
)
def test_a_guest_that_makes_no_sense(
    mc2_command: CommandLine, tmp_path: Path, options: tuple[str, ...]
) -> None:
    firmware = tmp_path / "firmware"
    firmware.write_bytes(bytes(4096))
    done = mc2_command("measure", "snp", "--firmware", firmware, *options, "--json")
    assert done.error["code"] == "usage"


def test_firmware_that_is_none(mc2_command: CommandLine, tmp_path: Path) -> None:
    firmware = tmp_path / "firmware"
    firmware.write_bytes(bytes(4096))
    done = mc2_command("measure", "snp", "--firmware", firmware, "--vcpus", "1", "--json")
    assert done.error["code"] == "format"


# --- Gramine


def test_mrenclave_stands_in_the_signature(mc2_command: CommandLine, tmp_path: Path) -> None:
    file, out = tmp_path / "worker.sig", tmp_path / "sgx.toml"
    file.write_bytes(sigstruct())
    done = mc2_command("measure", "gramine", file, "--out", out, "--json")
    assert done.json["values"] == {"mrenclave": [MRENCLAVE.hex()]}
    assert mc2_command("policy", "check", out).code == 0


def test_a_manifest_needs_gramines_tools(
    mc2_command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tmp_path / "worker.manifest"
    manifest.write_text("libos.entrypoint = '/python'\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = mc2_command("measure", "gramine", manifest, "--json")
    assert done.error["code"] == "usage"
    assert "gramine-sgx-sign" in done.error["hint"]


def test_a_manifest_is_measured_by_gramines_tools(
    mc2_command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stands in for Gramine: takes the options of its manual page, writes a signature file.
    tool = tmp_path / "gramine-sgx-sign"
    tool.write_text(
        f"#!{sys.executable}\n"
        "import argparse\n"
        "p = argparse.ArgumentParser()\n"
        "for n in ('manifest', 'output', 'key', 'date', 'sigfile'): p.add_argument('--' + n, required=True)\n"
        "a = p.parse_args()\n"
        "assert open(a.key).read() == 'key'\n"
        f"open(a.sigfile, 'wb').write(bytes.fromhex('{sigstruct().hex()}'))\n"
    )
    key = tmp_path / "gramine-sgx-gen-private-key"
    key.write_text(f"#!{sys.executable}\nimport sys\nopen(sys.argv[1], 'w').write('key')\n")
    for program in (tool, key):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    manifest = tmp_path / "worker.manifest"
    manifest.write_text("libos.entrypoint = '/python'\n")
    done = mc2_command("measure", "gramine", manifest, "--json")
    assert done.json["values"] == {"mrenclave": [MRENCLAVE.hex()]}
    tool.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('bad manifest')\n")
    done = mc2_command("measure", "gramine", manifest, "--json")
    assert done.error["code"] == "format"
    assert "bad manifest" in done.error["message"]


@pytest.mark.parametrize("wrong", [sigstruct()[:-1], sigstruct(header=bytes(12))])
def test_a_signature_file_that_is_none(
    mc2_command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: bytes
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "worker.sig"
    file.write_bytes(wrong)
    assert mc2_command("measure", "gramine", file, "--json").code != 0


# --- environments


def test_an_environment_measures_the_same_twice(
    mc2_command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, out = tmp_path / "files.json", tmp_path / "tpm.toml"
    given = ("--set", f"roots={ROOT}", "--set", "pcrs.7=" + "ab" * 32)
    first = mc2_command("measure", "code", "--manifest", manifest, *given, "--out", out, "--json")
    if first.code != 0:  # an editable installation of packages that cannot be measured
        pytest.fail(first.err)
    second = mc2_command("measure", "code", "--json")
    assert first.json["values"] == second.json["values"]
    assert manifest.stat().st_size > 1000
    assert mc2_command("policy", "check", out).code == 0
    other = mc2_command("measure", "code", "--unsafe-unconfined", "--json")
    assert other.json["values"] != first.json["values"]
