"""What the compiled objects may not contain: symbols that one instruction set lends to another."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mc2 import _native

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = sorted(ROOT.glob("build/cp*/native/CMakeFiles/mc2_*.dir/kernels/*.o"))


def symbols(path):
    nm = shutil.which("nm")
    assert nm, "binutils come with the compiler"
    return subprocess.run([nm, "-C", path], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", OBJECTS, ids=lambda p: f"{p.parent.parent.name}/{p.name}")
def test_kernels_export_their_table_and_nothing_else(path):
    # A weak symbol is one for all: the linker could keep the copy that an old CPU cannot run.
    lines = [line.split(maxsplit=2)[-2:] for line in symbols(path).splitlines()]
    weak = [name for kind, name in lines if kind in "WVvwu"]
    assert set(weak) <= {"DW.ref.__gxx_personality_v0"}, weak
    exported = [name for kind, name in lines if kind in "TDBR"]
    family = path.name.removesuffix(".cpp.o")
    isa = path.parent.parent.name.removeprefix("mc2_").removesuffix(".dir")
    assert exported == [f"mc2::oblivious::{isa}::{family}_table"]


def test_every_family_is_compiled_for_every_instruction_set():
    families = re.findall(
        r"^MC2_FAMILY\((\w+),", (ROOT / "native/families.def").read_text(), re.MULTILINE
    )
    isas = {p.parent.parent.name for p in OBJECTS}
    assert "mc2_portable.dir" in isas
    for isa in isas:
        built = {p.name.removesuffix(".cpp.o") for p in OBJECTS if p.parent.parent.name == isa}
        assert built >= set(families)


def test_an_unknown_instruction_set_is_refused():
    assert not _native.isa_supported("avx9000")
    with pytest.raises(RuntimeError, match="there is portable"):
        _native.use_isa("avx9000")
