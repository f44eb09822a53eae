"""Which code this enclave runs, for receipts, for the simulated measurement and for people.

On hardware the processor measures the whole image and this is only a description beside it. In a
simulation it is what gets "measured": the worker reads its own files, so it can lie.
"""

from __future__ import annotations

import hashlib
import importlib.util
import platform
from importlib import metadata
from pathlib import Path
from typing import Final

from mc2.crypto.labels import Label
from mc2.enclave.known_packages import KNOWN_PACKAGES
from mc2.errors import AttestationError
from mc2.formats.canonical import encode
from mc2.plan.packages import package_versions

ZONES: Final = (
    "attestation", "crypto", "enclave", "engine", "formats", "ml", "operators", "plan", "_native",
)  # fmt: skip
"""The packages inside mc2 that an enclave runs."""

MODULES: Final = ("__init__", "confine", "errors", "version")
"""The modules beside them that it runs."""

_KERNELS: Final = "mc2._native.kernels"


def code_identity() -> dict[str, str]:
    """Names and versions of what runs here, and under `mc2.code` the digest of mc2's own files.

    Reads files, so it is called once, before the process gives up its access to them.

    Raises: AttestationError, PlanError if something that should be there is not.
    """
    identity = package_versions()
    identity |= {name: _version(name) for name in KNOWN_PACKAGES if name not in identity}
    identity["python"] = platform.python_version()
    identity["mc2.code"] = code_digest()
    return dict(sorted(identity.items()))


def code_digest() -> str:
    """SHA-256, in hex, over the sorted names and digests of mc2's files in the trusted zones."""
    files = {name: _file_digest(path) for name, path in measured_files().items()}
    return hashlib.sha256(Label.CODE.prefix() + encode(files)).hexdigest()


def measured_files() -> dict[str, Path]:
    """The files of the trusted zones by their names inside the package."""
    root = Path(__file__).parent.parent
    found = [root / f"{name}.py" for name in MODULES]
    for zone in ZONES:
        found += sorted((root / zone).rglob("*.py"))
    files = {path.relative_to(root).as_posix(): path for path in found}
    files["_native/kernels"] = _kernels()
    return files


def _kernels() -> Path:
    # Where the compiled kernels lie differs between an installed and an editable package.
    spec = importlib.util.find_spec(_KERNELS)
    if spec is None or spec.origin is None:
        raise AttestationError(
            "the compiled kernels are missing, so this code has no identity",
            hint="install mc2 again, or run `make setup`",
        )
    return Path(spec.origin)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
