"""Which files an enclave worker runs: listed, digested, and checked against what was loaded.

For machines whose hardware does not measure the worker's memory (a TPM): the worker lists every
file that it may run, extends a register with the digest of the list, and only then goes on.
`mc2 measure` makes the same list on another machine. Spec: docs/spec/evidence-tpm.md §9.

The list depends on the environment alone: no path of the machine, no time and no byte-code cache
is in it. Caches are not measured, so a process that would use them is refused (`ISOLATED`).
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mc2.attestation.tpm.code_log import CodeEvent
from mc2.crypto.labels import Label
from mc2.enclave.known_packages import IMPORT_NAMES
from mc2.errors import AttestationError, FormatError
from mc2.formats.canonical import Json, decode, encode

NO_CACHE: Final = "/dev/null/mc2"
"""Where byte code would be: below a file, where nothing can ever be."""

ISOLATED: Final = ("-I", "-B", "-X", f"pycache_prefix={NO_CACHE}")
"""How Python must be started to be measured: deaf to the environment, without byte-code caches."""

CONFIGURATION: Final = "configuration"
PYTHON: Final = "python"
STARTUP: Final = "startup"

_MANIFEST_LIMIT: Final = 32 * 1024 * 1024
_MEASURE_SECONDS: Final = 300
_NOT_CODE: Final = frozenset({"__pycache__"})
_NOT_STANDARD: Final = frozenset({"__pycache__", "site-packages", "dist-packages"})
_SYSTEM_LIBRARIES: Final = ("/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/")
_HINT: Final = "start the worker by `mc2 start --tee tpm`, or with: python " + " ".join(ISOLATED)


@dataclass(frozen=True, slots=True)
class CodeManifest:
    """The canonical list: part → name of a file within it → SHA-256 of its contents, in hex.

    Parts are the Python packages by their import names, `python` (interpreter and standard
    library), `startup` (what Python runs before the worker) and `configuration`.
    """

    parts: Mapping[str, Mapping[str, str]]

    def event(self) -> CodeEvent:
        """What a worker with these files extends the register with."""
        return CodeEvent({name: _part_digest(files) for name, files in self.parts.items()})

    def encode(self) -> bytes:
        """The list as canonical JSON."""
        parts: dict[str, Json] = {name: dict(files) for name, files in self.parts.items()}
        return encode({"parts": parts})

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a list. Raises: FormatError."""
        value = decode(raw, _MANIFEST_LIMIT, "a list of measured files")
        parts = value.get("parts") if isinstance(value, Mapping) else None
        if not isinstance(parts, Mapping):
            raise FormatError("a list of measured files has no parts")
        return cls({name: _read_files(files) for name, files in parts.items()})


@dataclass(frozen=True, slots=True)
class MeasuredCode:
    """A manifest with the paths that it was made from: what this process may load."""

    manifest: CodeManifest
    paths: frozenset[str]

    def check_loaded(self) -> None:
        """Check that all code in this process was measured, or is a library of the system.

        Called when everything is loaded that ever will be. What the system's own folders hold is
        left to whoever measures the boot.

        Raises: AttestationError naming a file that was not measured.
        """
        for path in sorted({*_loaded_modules(), *_mapped_code()}):
            if str(Path(path).resolve()) not in self.paths and not _is_of_system(path):
                raise AttestationError(
                    f"the worker has loaded {path}, which it did not measure",
                    hint="install mc2 in an environment of its own, and start it without preloads",
                )


def worker_configuration(*, unconfined: bool) -> dict[str, Json]:
    """What is measured of the way a worker is started: all that could weaken it.

    Flags of Python are those of this process, which is the worker or was started like one.
    """
    flags = sys.flags
    return {
        "unconfined": unconfined,
        "python": {
            "isolated": flags.isolated,
            "optimize": flags.optimize,
            "inspect": flags.inspect,
            "interactive": flags.interactive,
            "dev_mode": int(flags.dev_mode),
            "utf8_mode": flags.utf8_mode,
            "no_site": flags.no_site,
        },
    }


def measure_code(configuration: Mapping[str, Json]) -> MeasuredCode:
    """List and digest every file that this process may run. Reads some hundred megabytes.

    Raises: AttestationError if Python was not started as `ISOLATED` says, or a file appears
    twice, so that what runs would not be what is listed.
    """
    if sys.pycache_prefix != NO_CACHE or not sys.flags.isolated:
        raise AttestationError(
            "this Python may run byte code or settings that are not measured", hint=_HINT
        )
    listing = _Listing()
    standard = _standard_folders()
    for folder in _import_folders(standard):
        listing.add_packages(folder)
    for folder in standard:
        listing.add_folder(PYTHON, "lib", folder, _NOT_STANDARD)
    for name, path in _interpreter():
        listing.add(PYTHON, name, path)
    for folder in _import_folders(standard):
        for path in sorted(folder.glob("*.pth")):
            listing.add(STARTUP, path.name, path)
    for module in sorted(_loaded_modules()):  # what .pth files and sitecustomize imported
        if str(Path(module).resolve()) not in listing.paths:
            listing.add(STARTUP, "/".join(Path(module).parts[-2:]), Path(module))
    parts: dict[str, Mapping[str, str]] = dict(sorted(listing.parts.items()))
    parts[CONFIGURATION] = {
        name: hashlib.sha256(encode(value)).hexdigest() for name, value in configuration.items()
    }
    return MeasuredCode(CodeManifest(parts), frozenset(listing.paths))


def measure_in_fresh_process(python: str, *, unconfined: bool = False) -> CodeManifest:
    """What a worker that `python` runs on this machine would measure.

    Raises: AttestationError.
    """
    command = [python, *ISOLATED, "-m", __name__, *(["--unconfined"] if unconfined else [])]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=True,
            timeout=_MEASURE_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        return CodeManifest.parse(done.stdout)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise AttestationError(
            f"the code cannot be measured: {said[-1] if said else 'no reason was given'}",
            hint="install mc2 in an environment of its own: python -m venv",
        ) from None
    except (OSError, subprocess.TimeoutExpired, FormatError) as error:
        raise AttestationError(f"the code cannot be measured: {error}") from None


class _Listing:
    """Collects files by part and name; what would be there twice is refused."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, str]] = {}
        self.paths: set[str] = set()

    def add(self, part: str, name: str, path: Path) -> None:
        files = self.parts.setdefault(part, {})
        if name in files:
            raise AttestationError(
                f"{name} of {part} is there twice: {path} is the second",
                hint="install mc2 once, in an environment of its own",
            )
        files[name] = _file_digest(path)
        self.paths.add(str(path.resolve()))

    def add_folder(self, part: str, prefix: str, folder: Path, skipped: frozenset[str]) -> None:
        for name, path in _files_below(folder, skipped):
            self.add(part, f"{prefix}/{name}", path)

    def add_packages(self, folder: Path) -> None:
        """Everything in an import folder that answers to the name of a known package."""
        for path in sorted(folder.iterdir()):
            top = path.name.partition(".")[0]
            if top not in IMPORT_NAMES:
                continue
            part = top.lstrip("_").lower()
            if path.is_dir():
                self.add_folder(part, path.name, path, _NOT_CODE)
            else:
                self.add(part, path.name, path)


def _standard_folders() -> tuple[Path, ...]:
    names = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return tuple(sorted({Path(name).resolve() for name in names}))


def _import_folders(standard: tuple[Path, ...]) -> list[Path]:
    """Folders that imports look in, beside the standard library's."""
    found: dict[Path, None] = {}
    for entry in sys.path:
        folder = Path(entry).resolve()
        inside = folder in standard or (
            folder.parent in standard and folder.name not in _NOT_STANDARD
        )
        if folder.is_dir() and not inside:
            found[folder] = None
    return list(found)


def _interpreter() -> Iterator[tuple[str, Path]]:
    # In a virtual environment the executable is a link to the one that made the environment.
    yield "executable", Path(sys.executable).resolve()
    library = sysconfig.get_config_var("INSTSONAME")
    folder = sysconfig.get_config_var("LIBDIR")
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and library and folder:
        path = Path(folder) / library
        if path.is_file():
            yield "libpython", path


def _files_below(folder: Path, skipped: frozenset[str]) -> Iterator[tuple[str, Path]]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skipped)
        for name in (*folders, *sorted(files)):
            path = Path(here) / name
            if path.is_dir() and not path.is_symlink():
                continue
            if path.is_dir():
                raise AttestationError(f"{path} is a link to a folder, which cannot be measured")
            yield path.relative_to(folder).as_posix(), path


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise AttestationError(f"{path} is not a file, so it cannot be measured")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AttestationError(f"{path} cannot be measured: {error.strerror}") from None


def _part_digest(files: Mapping[str, str]) -> str:
    return hashlib.sha256(Label.MEASURED_PART.prefix() + encode(dict(files))).hexdigest()


def _read_files(value: Json) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise FormatError("a part of a list of measured files is not an object")
    return {name: str(found) for name, found in value.items()}


def _loaded_modules() -> set[str]:
    found = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return {path for path in found if isinstance(path, str)}


def _mapped_code() -> set[str]:
    """The files whose contents this process may execute."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        raise AttestationError("the code of this process cannot be listed (/proc/self)") from None
    fields = (line.split(maxsplit=5) for line in lines)
    return {f[5] for f in fields if len(f) == 6 and "x" in f[1] and f[5].startswith("/")}


def _is_of_system(path: str) -> bool:
    """Whether this is a library of the system, which those measure who measure the boot."""
    real = str(Path(path).resolve())
    return real.startswith(_SYSTEM_LIBRARIES) and "/python" not in real and ".so" in real


def _main(arguments: list[str]) -> int:
    try:
        measured = measure_code(worker_configuration(unconfined="--unconfined" in arguments))
    except AttestationError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.buffer.write(measured.manifest.encode())
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
