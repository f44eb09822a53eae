"""An enclave imports the packages that stand here, and no other that happens to be installed.

Engines look for dozens of optional packages and import those they find (pandas, scikit-learn, rich
and all that these import). None is needed here; each would be code that sees plaintext, that no
plan names and that nobody reviewed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

KNOWN_PACKAGES: Final = (
    "cffi",  # cryptography, pyseccomp
    "cloudpickle",  # xgboost
    "cryptography",
    "duckdb",
    "mc2",
    "numpy",
    "pyarrow",
    "pyseccomp",
    "rfc8785",
    "scipy",  # xgboost
    "xgboost",
)
"""By the name of their distribution, which says who is imported where it is not the same."""

# The libraries that the wheel of xgboost-cpu brings along lie in xgboost_cpu.libs, and run too.
IMPORT_NAMES: Final = frozenset({*KNOWN_PACKAGES, "_cffi_backend", "_duckdb", "xgboost_cpu"})


class _OnlyKnown:
    """The first finder that imports ask: it finds nothing, and refuses what is not known."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        top = name.partition(".")[0]
        if top in IMPORT_NAMES or _is_of_python(top):
            return None
        raise ModuleNotFoundError(f"{top} is not a package that an enclave imports", name=name)


def _is_of_python(top: str) -> bool:
    # How Python was built stands in a module whose name depends on the machine.
    return top in sys.stdlib_module_names or top.startswith("_sysconfigdata_")


def import_only_known_packages() -> None:
    """From now on this process imports the standard library and what is listed here."""
    sys.meta_path.insert(0, _OnlyKnown())
