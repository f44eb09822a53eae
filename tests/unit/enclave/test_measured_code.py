"""The list of files that a worker runs: canonical, whole, and refused where it could be a lie."""

from __future__ import annotations

import importlib.util
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.environment import Environment

from mc2.enclave.measured_code import (
    CONFIGURATION,
    ISOLATED,
    PYTHON,
    CodeManifest,
    MeasuredCode,
    measure_code,
    measure_in_fresh_process,
)
from mc2.errors import AttestationError, FormatError
from mc2.version import VERSION


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return Environment.make(tmp_path_factory.mktemp("measured") / "environment")


def measure(environment: Environment, *, unconfined: bool = False) -> CodeManifest:
    return measure_in_fresh_process(str(environment.python), unconfined=unconfined)


@pytest.fixture(scope="module")
def before(environment: Environment) -> CodeManifest:
    return measure(environment)


def test_the_list_has_all_parts(environment: Environment, before: CodeManifest) -> None:
    found = before
    assert {"mc2", "duckdb", "pyarrow", "xgboost", "cryptography", PYTHON, CONFIGURATION} <= set(
        found.parts
    )
    assert "mc2/enclave/session.py" in found.parts["mc2"]
    assert any("kernels" in name for name in found.parts["mc2"])
    assert {"executable", "lib/os.py"} <= found.parts[PYTHON].keys()
    assert CodeManifest.parse(found.encode()) == found
    # No path of this machine is in it: equal environments elsewhere have equal lists.
    assert str(environment.folder).encode() not in found.encode()


def test_the_configuration_counts(environment: Environment, before: CodeManifest) -> None:
    confined, unconfined = before.event(), measure(environment, unconfined=True).event()
    parts = confined.parts
    assert [n for n in parts if parts[n] != unconfined.parts[n]] == [CONFIGURATION]
    assert confined.digest != unconfined.digest


def test_changed_added_and_removed_files_are_seen(
    environment: Environment, before: CodeManifest
) -> None:
    added, changed = environment.file("enclave/added.py"), environment.file("errors.py")
    removed = environment.file("py.typed")
    good = changed.read_bytes(), removed.read_bytes()
    added.write_text("")
    changed.write_bytes(good[0] + b"\n")
    removed.unlink()
    try:
        after = measure(environment)
    finally:
        added.unlink()
        changed.write_bytes(good[0])
        removed.write_bytes(good[1])
    different = before.parts["mc2"].items() ^ after.parts["mc2"].items()
    assert {name for name, _ in different} == {
        "mc2/enclave/added.py", "mc2/errors.py", "mc2/py.typed",
    }  # fmt: skip
    assert before.event().digest != after.event().digest


def test_what_does_not_start_is_not_measured(environment: Environment) -> None:
    needed = environment.file("errors.py")
    good = needed.read_bytes()
    needed.unlink()
    try:
        with pytest.raises(AttestationError, match="cannot be measured"):
            measure(environment)
    finally:
        needed.write_bytes(good)


def test_byte_code_caches_are_neither_listed_nor_run(
    environment: Environment, before: CodeManifest, tmp_path: Path
) -> None:
    source, lie = environment.file("version.py"), tmp_path / "lie.py"
    lie.write_text('VERSION = "another"\n')
    cache = Path(importlib.util.cache_from_source(str(source)))
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(lie), cfile=str(cache), invalidation_mode=unchecked)
    words = ("-c", "from mc2.version import VERSION; print(VERSION)")

    def said(*flags: str) -> str:
        command = [str(environment.python), *flags, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        assert said("-I") == "another"  # the attack works where caches are used
        assert said(*ISOLATED) == VERSION
        assert measure(environment) == before
    finally:
        cache.unlink()


def test_python_that_listens_to_its_environment_is_refused() -> None:
    with pytest.raises(AttestationError, match="not measured"):
        measure_code({})
    done = subprocess.run(
        [sys.executable, "-I", "-m", "mc2.enclave.measured_code"], capture_output=True, check=False
    )
    assert done.returncode == 8
    assert "-I" in ISOLATED


def test_what_was_loaded_and_not_measured_is_named() -> None:
    nothing = MeasuredCode(CodeManifest({}), frozenset())
    with pytest.raises(AttestationError, match="did not measure"):
        nothing.check_loaded()


def test_no_python_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(AttestationError, match="cannot be measured"):
        measure_in_fresh_process(str(tmp_path / "python"))


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"parts":[]}', b'{"parts":{"mc2":1}}'])
def test_lists_are_read_strictly(raw: bytes) -> None:
    with pytest.raises(FormatError):
        CodeManifest.parse(raw)
