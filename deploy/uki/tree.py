"""Lays out the guest's files: a Python, the packages an enclave imports, mc2, and their libraries.

Everything is copied from where it is installed; nothing is fetched. Only packages that
`mc2.enclave.known_packages` names go in, so whatever else is installed stays outside.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Final

HERE: Final = Path(__file__).resolve().parent
DISTRIBUTIONS: Final = (
    "cffi", "cloudpickle", "cryptography", "duckdb", "numpy", "pyarrow", "pyseccomp", "rfc8785",
    "scipy", "xgboost-cpu",
)  # fmt: skip
"""What mc2's enclave imports, by the names of the distributions; tests compare the two lists."""

MODULES: Final = ("virtio_pci", "virtio_net")
"""Drivers that the guest loads, after those that they need; a kernel may have them built in."""

_UNUSED_STDLIB: Final = frozenset(
    {"site-packages", "test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "ensurepip",
     "pydoc_data", "__pycache__"}
)  # fmt: skip
_UNUSED_PARTS: Final = frozenset({"tests", "include", "__pycache__"})
_PROGRAMS: Final = ("/sbin/ldconfig",)
_LIBRARIES: Final = ("libseccomp.so.2", "libgcc_s.so.1")
_ARROW: Final = re.compile(r"=> (/\S+)|^\s*(/\S+) \(")


class TreeError(RuntimeError):
    """Something that the image needs is not on this machine."""


def lay_out(
    tree: Path, *, wheel: Path, modules: Path, guest: dict[str, object], files: dict[str, bytes]
) -> None:
    """Fill `tree`. `guest` are the settings of the first program; `files` are extra ones."""
    packages = tree / sysconfig.get_path(
        "platlib", vars={"base": sys.base_prefix, "platbase": sys.base_prefix}
    ).lstrip("/")
    _copy_python(tree)
    packages.mkdir(parents=True, exist_ok=True)
    for name in DISTRIBUTIONS:
        _copy_distribution(name, packages)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    loaded = list(_copy_modules(modules, tree))
    for name in _PROGRAMS:
        _copy(Path(name), tree)
    _copy_libraries(tree)
    _write(tree / "etc/mc2/guest.json", json.dumps({"modules": loaded, **guest}, sort_keys=True))
    _write(tree / "etc/passwd", "root:x:0:0::/:\nnobody:x:65534:65534::/:\n")
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    shutil.copyfile(HERE / "init.py", tree / "init")
    (tree / "init").chmod(0o755)
    for name in ("proc", "sys", "dev", "run", "tmp"):
        (tree / name).mkdir(exist_ok=True)


def _copy_python(tree: Path) -> None:
    interpreter = Path(sys.base_prefix, "bin", f"python{sysconfig.get_python_version()}").resolve()
    _copy(interpreter, tree)
    program = tree / "usr/bin/python3"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.symlink_to(interpreter)
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    for path in _files(library, _UNUSED_STDLIB):
        if path.suffix != ".a" and "config-" not in path.parent.name:
            _copy(path, tree)


def _copy_distribution(name: str, packages: Path) -> None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise TreeError(f"{name} is not installed beside this Python") from None
    for file in found.files or ():
        if _wanted(file):
            target = packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found.locate_file(file), target)


def _wanted(file: PurePosixPath) -> bool:
    # RECORD names the caches of this machine; scripts lie outside of the packages.
    return (
        file.parts[0] != ".."
        and not _UNUSED_PARTS.intersection(file.parts)
        and file.suffix not in {".pyc", ".pyi", ".pxd", ".a"}
        and file.name not in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    )


def _copy_modules(modules: Path, tree: Path) -> Iterator[str]:
    """Copy the drivers; their names in the order of loading."""
    built_in = {Path(name).stem for name in (modules / "modules.builtin").read_text().split()}
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[Path(name).stem] = (name, [Path(other).stem for other in others.split()])
    order: dict[str, str] = {}

    def add(stem: str) -> None:
        if stem in built_in or stem in order:
            return
        if stem not in needs or not needs[stem][0].endswith(".ko"):
            raise TreeError(f"the driver {stem} is not in {modules}, not compressed")
        for other in needs[stem][1]:
            add(other)
        order[stem] = needs[stem][0]

    for stem in MODULES:
        add(stem)
    for stem, name in order.items():
        target = tree / "lib/modules" / f"{stem}.ko"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(modules / name, target)
        yield f"/lib/modules/{target.name}"


def _copy_libraries(tree: Path) -> None:
    cache = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True)
    wanted: set[Path] = set()
    for name in _LIBRARIES:
        found = [
            line.split("=> ")[1] for line in cache.stdout.splitlines() if f"\t{name} (" in line
        ]
        if not found:
            raise TreeError(f"the library {name} is not on this machine")
        wanted.add(Path(found[0]))
    for path in _files(tree, frozenset()):
        # What lies in the tree finds its neighbours by relative paths; the rest is the system's.
        if _is_elf(path):
            wanted |= {p for p in _needs(path) if not p.is_relative_to(tree)}
    for library in sorted(wanted | {p for path in wanted for p in _needs(path)}):
        if not (tree / str(library).lstrip("/")).exists():
            _copy(library, tree)


def _needs(path: Path) -> set[Path]:
    done = subprocess.run(["ldd", str(path)], check=False, capture_output=True, text=True)
    matches = (_ARROW.search(line) for line in done.stdout.splitlines())
    return {Path(match[1] or match[2]) for match in matches if match}


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _files(folder: Path, without: Iterable[str]) -> Iterator[Path]:
    unused = frozenset(without)
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - unused)
        yield from (Path(top, name) for name in sorted(names) if not Path(top, name).is_symlink())


def _copy(path: Path, tree: Path) -> None:
    """To the same place in the tree; a link becomes the file that it leads to."""
    target = tree / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
