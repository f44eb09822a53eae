"""What `mc2 doctor --oblivious` says of the kernels' report."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tools.prove import shipped

from mc2._native import kernels
from mc2.cli import obliviousness

MODULE = hashlib.sha256(b"module").hexdigest()
CLEAN = {
    "schema": "https://mc2.dev/obliviousness-report/v1",
    "mc2": "0.1.0",
    "isas": ["portable"],
    "data": ["random"],
    "build": {"compiler": "g++", "module_sha256": MODULE},
    "kernels": {"select.less": {}},
    "operators": {"cases": {"logic": {}}},
    "mutants": {"portable": {"branch": {}}},
    "code": {"portable": {"allowed": []}},
    "passed": True,
}


def said(
    tmp_path: Path, report: object, digest: str = MODULE, build: str = ""
) -> list[tuple[str, str]]:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report))
    return [(f.what, f.state) for f in obliviousness._shipped(path, digest, build)]


def test_a_report_on_this_module(tmp_path: Path) -> None:
    assert said(tmp_path, CLEAN) == [("report of the release", "ok"), ("the same kernels", "ok")]


def test_a_report_on_another_build_says_nothing_of_this_one(tmp_path: Path) -> None:
    assert said(tmp_path, CLEAN, "0" * 64)[1] == ("the same kernels", "missing")


@pytest.mark.parametrize(
    ("named", "build", "state"),
    [("ab12", "ab12", "ok"), ("ab12", "ab13", "missing"), ("", "", "missing")],
)
def test_a_stripped_module_is_known_by_its_build(
    tmp_path: Path, named: str, build: str, state: str
) -> None:
    report = CLEAN | {"build": {"compiler": "g++", "module_sha256": MODULE, "build_id": named}}
    assert said(tmp_path, report, "0" * 64, build)[1] == ("the same kernels", state)


def test_the_name_of_a_build_is_read_from_the_module(tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.so"
    subprocess.run(["objcopy", "--strip-all", kernels.__file__, str(stripped)], check=True)
    whole = Path(kernels.__file__).read_bytes()
    assert obliviousness.build_id(whole) == shipped.build_id(Path(kernels.__file__))
    assert len(obliviousness.build_id(whole)) == 40
    assert obliviousness.build_id(stripped.read_bytes()) == obliviousness.build_id(whole)


@pytest.mark.parametrize("content", [b"", b"no module", bytes(64), bytes(63) + b"\xff" * 9])
def test_what_is_no_module_has_no_name(content: bytes) -> None:
    assert obliviousness.build_id(content) == ""


@pytest.mark.parametrize("passed", [False, None, "true", 1])
def test_a_report_that_did_not_pass(tmp_path: Path, passed: object) -> None:
    assert said(tmp_path, CLEAN | {"passed": passed})[0] == ("report of the release", "missing")


@pytest.mark.parametrize("broken", [[], {}, "x", CLEAN | {"build": 3}, CLEAN | {"schema": "v2"}])
def test_what_is_no_report(tmp_path: Path, broken: object) -> None:
    assert said(tmp_path, broken) == [("report of the release", "missing")]


def test_no_report_is_a_note(tmp_path: Path) -> None:
    (found,) = obliviousness._shipped(tmp_path / "none.json", MODULE)
    assert (found.state, found.hint) == ("note", "in a checkout: make prove")


@pytest.mark.parametrize(
    ("printed", "state", "words"),
    [
        ({"watched": True, "leaking": [], "operators": {"logic": [0, 0]}, "isa": "avx2"},
         "ok", "1 cases, no use of a secret (avx2)"),
        ({"watched": True, "leaking": ["sort"], "operators": {}, "isa": "avx2"},
         "missing", "uses of secrets in sort"),
        ({"watched": False, "leaking": [], "operators": {}, "isa": "avx2"},
         "note", "without marks for valgrind"),
        ({"watched": True}, "missing", "did not run under valgrind"),
        ("no JSON", "missing", "did not run under valgrind"),
    ],
)  # fmt: skip
def test_what_operators_do_under_valgrind_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: object, state: str, words: str
) -> None:
    said = printed if isinstance(printed, str) else json.dumps(printed)
    valgrind = tmp_path / "valgrind"
    valgrind.write_text(f"#!/bin/sh\necho '{said}'\n")
    valgrind.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(valgrind))
    found = obliviousness._watched()
    assert found.state == state
    assert words in found.detail


def test_without_valgrind_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = obliviousness._watched()
    assert found.state == "note"
    assert "apt-get install valgrind" in found.hint
