"""Packs mc2 and what it needs, for Spark to unpack beside executors that have neither.

The archive has packages and a small `bin/python`, which starts the host's own interpreter of the
same version with them: Spark's Python workers, keepers and enclaves all start that way. What an
enclave proves does not change: the files are the same, wherever they came from.
"""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import tarfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import mc2
from mc2.errors import UsageError

FOLDER: Final = "mc2"
"""What Spark calls the unpacked archive, in the folder in which executors run."""
SHIPPED_PYTHON: Final = f"./{FOLDER}/bin/python"
SHIPPED_ENCLAVE: Final = (SHIPPED_PYTHON, "-m", "mc2.enclave")
"""The command that starts an enclave beside an executor from the archive."""

_PACKAGES: Final = "packages"
_BESIDE: Final = ("fsspec", "cloudpickle")  # used where they are there, and so part of what runs
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")
_FASTEST: Final = 1
_EXECUTABLE: Final = 0o755
_READABLE: Final = 0o644


def pack(archive: Path) -> Path:
    """Write an archive (`.tar.gz`) of mc2 and what it needs, from this very environment.

    Raises: OSError; UsageError if a package that mc2 needs is not there.
    """
    part = archive.with_name(f"{archive.name}.part")
    with tarfile.open(part, "w:gz", compresslevel=_FASTEST) as found:
        _add(found, "bin/python", _starter().encode(), _EXECUTABLE)
        for name, path in sorted(_files().items()):
            _add(found, f"{_PACKAGES}/{name}", path.read_bytes(), _READABLE)
    return part.replace(archive)


def shipped_settings(archive: Path | str, others: str = "") -> dict[str, str]:
    """The settings by which Spark unpacks an archive, and `others`, beside each executor.

    `PYSPARK_PYTHON` must be `SHIPPED_PYTHON` when the session starts: no setting says so.
    """
    ours = f"{archive}#{FOLDER}"
    return {"spark.archives": f"{others},{ours}" if others else ours}


def shipped_command(command: Sequence[str]) -> tuple[str, ...]:
    """A command of this host that starts an enclave, as executors start it from the archive."""
    first, *rest = command
    if Path(first).name == "mc2-enclave":
        return (*SHIPPED_ENCLAVE, *rest)
    return (SHIPPED_PYTHON, *rest) if first == sys.executable else tuple(command)


def check_master(master: str) -> None:
    """Only a cluster has executors elsewhere. Raises: UsageError."""
    if master.startswith("local"):
        raise UsageError(
            f"with the master {master} executors run here, and have mc2 already",
            hint="leave --ship out",
        )


def _starter() -> str:
    """The archive's interpreter: the host's own of this version, with the archive's packages."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        "#!/bin/sh\n"
        'here=$(cd "$(dirname "$0")/.." && pwd)\n'
        f'PYTHONPATH="$here/{_PACKAGES}${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        "export PYTHONPATH\n"
        f'exec python{version} "$@"\n'
    )


def _add(archive: tarfile.TarFile, name: str, raw: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(raw), mode
    archive.addfile(entry, io.BytesIO(raw))


def _files() -> dict[str, Path]:
    """All files by their place among the packages."""
    found = dict(_own())
    for distribution in _distributions():
        for file in distribution.files or ():
            top = file.parts[0]
            # An editable mc2 lists loaders of its sources, which are packed themselves.
            if ".." in file.parts or "__pycache__" in file.parts or top.startswith("_editable"):
                continue
            path = Path(str(file.locate()))
            if file.as_posix() not in found and path.is_file():
                found[file.as_posix()] = path
    return found


def _own() -> Iterator[tuple[str, Path]]:
    """mc2's own files: where it is editable, sources and compiled kernels lie apart."""
    native = importlib.util.find_spec("mc2._native")  # found, not loaded: tasks load this module
    kernels = (native.submodule_search_locations if native else None) or ()
    for package, places in (("mc2", mc2.__path__), ("mc2/_native", kernels)):
        for place in map(Path, places):
            for path in sorted((*place.rglob("*.py"), *place.rglob("*.so"))):
                yield f"{package}/{path.relative_to(place).as_posix()}", path


def _distributions() -> Iterator[metadata.Distribution]:
    """mc2's distribution and all that it needs, without its extras. Raises: UsageError."""
    wanted, seen = ["mc2", *_BESIDE], set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name == "mc2":
                raise UsageError(
                    "mc2 is not installed here, so it cannot be packed", hint="pip install mc2"
                ) from None
            continue  # not needed on this machine, or by this Python
        yield found
        for text in found.requires or ():
            needed, _, marker = text.partition(";")
            if "extra" not in marker and (match := _NAME.match(needed.strip())):
                wanted.append(match[0])
