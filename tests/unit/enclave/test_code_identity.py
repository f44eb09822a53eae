from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mc2.enclave import code_identity as module
from mc2.enclave.code_identity import code_digest, code_identity, measured_files
from mc2.plan.packages import package_versions

SRC = Path(module.__file__).parent.parent


def test_names_what_a_plan_names_and_more() -> None:
    identity = code_identity()
    assert package_versions().items() <= identity.items()
    assert list(identity) == sorted(identity)
    assert identity["mc2.code"] == code_digest()
    assert {"python", "cryptography"} <= identity.keys()


def test_measures_the_trusted_zones_and_nothing_else() -> None:
    names = set(measured_files())
    assert {
        "enclave/session.py",
        "crypto/hpke.py",
        "errors.py",
        "confine.py",
        "__init__.py",
    } <= names
    assert "_native/kernels" in names
    assert not [
        n for n in names if n.startswith(("client", "coordinator", "planner", "cli", "web"))
    ]


def test_any_changed_byte_is_another_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = measured_files()
    before = code_digest()
    name = "enclave/session.py"
    changed = tmp_path / "session.py"
    changed.write_bytes(files[name].read_bytes() + b"\n")
    monkeypatch.setattr(module, "measured_files", lambda: {**files, name: changed})
    assert code_digest() != before
    monkeypatch.setattr(
        module,
        "measured_files",
        lambda: {("enclave/other.py" if n == name else n): p for n, p in files.items()},
    )
    assert code_digest() != before
    monkeypatch.undo()
    assert code_digest() == before


def test_everything_that_an_enclave_imports_is_measured() -> None:
    script = (
        "import sys, mc2.enclave.__main__, mc2.attestation.simulated.collector\n"
        "print(*(n for n in sys.modules if n == 'mc2' or n.startswith('mc2.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    measured = {
        "mc2." + n.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for n in measured_files()
    } | {"mc2", "mc2._native.kernels"}
    assert set(done.stdout.split()) <= measured


def test_an_enclave_imports_nothing_of_the_outside() -> None:
    script = (
        "import sys, mc2.enclave.__main__\n"
        "banned = {'sqlglot', 'httpx', 'fastapi', 'starlette', 'uvicorn', 'click', 'rich',"
        " 'mc2.client', 'mc2.planner', 'mc2.coordinator', 'mc2.cli', 'mc2.xgboost',"
        " 'mc2.attestation.simulated'}\n"
        "print(*sorted(banned & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
