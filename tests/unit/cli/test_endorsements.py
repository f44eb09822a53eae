"""`mc2 endorsements`: fetching from fake vendors, importing, showing, and asking nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.support import amd_hierarchy, intel_hierarchy
from tests.support.amd_hierarchy import Amd
from tests.support.command_line import CommandLine
from tests.support.fake_vendors import FakeVendors, Fault, serving
from tests.support.intel_hierarchy import Intel

import mc2.cli.endorsements

AMD_NOW, INTEL_NOW = amd_hierarchy.NOW, intel_hierarchy.NOW


@pytest.fixture
def fake() -> Iterator[FakeVendors]:
    with serving(FakeVendors()) as found:
        yield found


@pytest.fixture
def mc2_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    fake: FakeVendors,
) -> CommandLine:
    """The command line, believing in the synthetic roots beside the services it is told of."""
    monkeypatch.setenv("MC2_HOME", str(tmp_path / "home"))
    genuine = mc2.cli.endorsements.vendors_at

    def with_roots(*urls: str | None):
        roots = fake.vendors()
        return replace(genuine(*urls), amd_roots=roots.amd_roots, intel_roots=roots.intel_roots)

    monkeypatch.setattr(mc2.cli.endorsements, "vendors_at", with_roots)
    set_clock(monkeypatch, AMD_NOW)
    return CommandLine(monkeypatch, capsys)


def set_clock(monkeypatch: pytest.MonkeyPatch, at: datetime) -> None:
    monkeypatch.setattr(mc2.cli.endorsements, "clock", lambda: at)


def services(fake: FakeVendors) -> tuple[str, ...]:
    return ("--kds", fake.url, "--pcs", fake.url, "--pcs-certificates", fake.url)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    return folder


def test_fetch_for_evidence(mc2_command: CommandLine, fake: FakeVendors, tmp_path: Path) -> None:
    folder = write(tmp_path / "evidence", {"report.bin": fake.amd.report()})
    asked = ("fetch", folder, "--line", "Genoa", *services(fake), "--json")
    done = mc2_command("endorsements", *asked)
    assert done.code == 0, done.err
    assert [row["subject"].split("/")[2] for row in done.json] == [
        "vcek-authority", "vcek-crl", "vcek",
    ]  # fmt: skip
    assert "AMD learns that your address takes an interest in the chip" in done.err
    assert "AMD learns nothing but your address" in done.err
    shown = mc2_command("endorsements", "show", "--json").json
    assert {row["source"] for row in shown} == {"fetched"}
    assert {row["state"] for row in shown} == {"valid"}


def test_a_dry_run_asks_nobody(mc2_command: CommandLine, fake: FakeVendors, tmp_path: Path) -> None:
    done = mc2_command(
        "endorsements", "fetch", "--fmspc", "00806F050000", *services(fake), "--dry-run", "--json"
    )
    assert done.code == 0
    assert [q["vendor"] for q in done.json] == ["Intel"] * 4
    assert sum("00806f050000" in q["tells"] for q in done.json) == 1
    assert fake.asked == []
    assert not (tmp_path / "home").exists()


def test_fetch_by_ids(
    mc2_command: CommandLine, fake: FakeVendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    tcb = fake.amd.report()[0x180:0x188].hex()
    ids = ("--line", "Genoa", "--chip", fake.amd.chip.hex(), "--tcb", tcb)
    assert mc2_command("endorsements", "fetch", *ids, *services(fake)).code == 0
    set_clock(monkeypatch, INTEL_NOW)
    ids = ("--fmspc", "00806f050000", "--tee", "sgx")
    assert mc2_command("endorsements", "fetch", *ids, *services(fake)).code == 0
    shown = mc2_command("endorsements", "show", "--json").json
    assert len(shown) == 7


def test_a_line_alone(mc2_command: CommandLine, fake: FakeVendors) -> None:
    done = mc2_command("endorsements", "fetch", "--line", "Genoa", *services(fake), "--json")
    assert [row["subject"] for row in done.json] == [
        "amd/Genoa/vcek-authority",
        "amd/Genoa/vcek-crl",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--chip", "00" * 64),
        ("--line", "Genoa", "--chip", "00" * 64),
        ("--line", "Genoa", "--chip", "00" * 63, "--tcb", "00" * 8),
        ("--line", "Rome"),
        ("--fmspc", "00806f0500"),
        ("--fmspc", "zz806f050000"),
        ("--line", "Genoa", "--kds", "http://kds.example"),
        ("--line", "Genoa", "--pcs", "file:///etc/passwd"),
        ("nowhere",),
    ],
)
def test_senseless_requests_ask_nobody(
    mc2_command: CommandLine, fake: FakeVendors, arguments: tuple[str, ...]
) -> None:
    assert mc2_command("endorsements", "fetch", *arguments).code == 2
    assert fake.asked == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(429, {"Retry-After": "3600"}), "status 429"),
        (Fault(302, {"Location": "http://127.0.0.1:1/"}), "redirects are not followed"),
        (Fault(content_type="text/html"), "answers with text/html"),
        (Fault(truncate=9), "does not answer in full"),
        (Fault(404), "status 404"),
        (Fault(body=b"junk"), "plain PEM"),
    ],
)
def test_bad_services_leave_nothing_behind(
    mc2_command: CommandLine, fake: FakeVendors, tmp_path: Path, fault: Fault, said: str
) -> None:
    fake.fault("cert_chain", fault)
    done = mc2_command("endorsements", "fetch", "--line", "Genoa", *services(fake), "--json")
    assert done.code == 8
    assert said in done.error["message"]
    assert not (tmp_path / "home").exists()


def test_rollback_is_refused_and_remembered(
    mc2_command: CommandLine, fake: FakeVendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, INTEL_NOW)
    arguments = (
        "endorsements",
        "fetch",
        "--fmspc",
        "00806f050000",
        "--tee",
        "sgx",
        *services(fake),
    )
    assert mc2_command(*arguments).code == 0
    fake.sgx = Intel(tcb_changes={"tcbEvaluationDataNumber": 18})
    done = mc2_command(*arguments, "--json")
    assert done.code == 8
    assert "number 18" in done.error["message"]
    assert "number 19" in done.error["message"]
    fake.sgx = Intel(tcb_changes={"tcbEvaluationDataNumber": 20})
    assert mc2_command(*arguments).code == 0
    assert mc2_command("endorsements", "show", "--json").json[-1]["number"] == "20"
    everything = mc2_command("endorsements", "show", "--all", "--json").json
    assert [r["number"] for r in everything if "/tcb/" in r["subject"]] == ["19", "20"]


def test_import_and_show_without_a_network(
    mc2_command: CommandLine,
    fake: FakeVendors,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    raw = Amd(revoked=()).evidence()
    folder = write(tmp_path / "usb", {f"{n}.der": der for n, der in raw.endorsements.items()})
    monkeypatch.setattr(socket, "socket", None)  # whoever opens one fails
    assert mc2_command("endorsements", "show").out == "nothing is kept yet\n"
    done = mc2_command("endorsements", "import", folder)
    assert done.code == 0, done.err
    done = mc2_command("endorsements", "show")
    assert "amd/Genoa/vcek-crl" in done.out
    assert "warning" not in done.err
    for days, state in ((14, "ends in 6 days"), (21, "has ended")):
        set_clock(monkeypatch, AMD_NOW + timedelta(days=days))
        done = mc2_command("endorsements", "show")
        assert f"warning: amd/Genoa/vcek-crl {state}" in done.err
    assert fake.asked == []


def test_old_endorsements_come_in_as_of_their_time(
    mc2_command: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    raw = Amd(revoked=()).evidence()
    folder = write(tmp_path / "usb", {f"{n}.der": der for n, der in raw.endorsements.items()})
    set_clock(monkeypatch, AMD_NOW + timedelta(days=30))
    assert mc2_command("endorsements", "import", folder).code == 8
    done = mc2_command("endorsements", "import", folder, "--at", "2026-11-23T12:00:00Z", "--json")
    assert done.code == 0, done.err
    assert [row["state"] for row in done.json if "crl" in row["subject"]] == ["has ended"]


def test_damage_is_shown(mc2_command: CommandLine, fake: FakeVendors, tmp_path: Path) -> None:
    assert mc2_command("endorsements", "fetch", "--line", "Genoa", *services(fake)).code == 0
    for file in (tmp_path / "home" / "endorsements" / "files").iterdir():
        file.write_bytes(b"")
    done = mc2_command("endorsements", "show", "--json")
    assert {row["state"] for row in done.json} == {"is damaged"}
