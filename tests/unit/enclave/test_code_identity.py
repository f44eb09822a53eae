from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mc2.enclave import code_identity as module
from mc2.enclave.code_identity import code_digest, code_identity, measured_files
from mc2.enclave.known_packages import KNOWN_PACKAGES
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


SCRIPT = """
import json, sys
from pathlib import Path
import mc2.enclave.__main__
from mc2.enclave.known_packages import import_only_known_packages
import_only_known_packages()
import mc2.enclave.process
from mc2.attestation.simulated.collector import SimulatedCollector
from mc2.attestation.simulated.report import measure
from mc2.attestation.simulated.root import SimulatedRoot
from mc2.enclave.code_identity import code_identity
from mc2.enclave.self_test import self_test
from mc2.enclave.session import JobSession
code = code_identity()
collector = SimulatedCollector(SimulatedRoot.make(), measure(code), "here")
self_test(lambda: JobSession(collector, code, (), "00" * 16))
refused = []
for name in ("pandas", "sklearn", "click", "no_such_package"):
    try:
        __import__(name)
    except ImportError:
        refused.append(name)
# Packages go by the files of modules: some extensions register modules of made-up names.
files = [Path(m.__file__) for m in sys.modules.values() if getattr(m, "__file__", None)]
parts = [f.parts[f.parts.index("site-packages") + 1] for f in files if "site-packages" in f.parts]
ours = [n for n in sys.modules if n.partition(".")[0] == "mc2"]
packages = sorted({p.partition(".")[0] for p in parts})
print(json.dumps({"ours": ours, "packages": packages, "refused": refused}))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    """What an enclave has imported after a whole job."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_everything_that_an_enclave_imports_is_measured(said: dict[str, list[str]]) -> None:
    measured = {
        "mc2." + n.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for n in measured_files()
    } | {"mc2", "mc2._native.kernels"}
    assert "mc2.enclave.session" in said["ours"]
    assert set(said["ours"]) <= measured


def test_an_enclave_imports_known_packages_only(said: dict[str, list[str]]) -> None:
    started_by_python = {"_editable_skbc_mc2", "_distutils_hack"}
    imported = set(said["packages"]) - started_by_python
    assert imported <= {*KNOWN_PACKAGES, "_cffi_backend", "_duckdb"}
    assert {"duckdb", "xgboost", "pyarrow"} <= imported


def test_an_unknown_package_cannot_be_imported(said: dict[str, list[str]]) -> None:
    assert said["refused"] == ["pandas", "sklearn", "click", "no_such_package"]
