"""Write `mc2/_native/__init__.py` and the stub from the built module."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "mc2" / "_native"
HEAD = '''"""The compiled kernels (C++20, `native/`): the one door to them.

Every kernel's sequence of instructions and memory addresses depends on lengths alone. Only
`mc2.operators` and `mc2.ml` may import this. Written by `tools/native_init.py`.
"""

'''


def main() -> None:
    """List what the module offers, and copy the stub that the build made."""
    kernels = importlib.import_module("mc2._native.kernels")
    names = sorted(name for name in dir(kernels) if not name.startswith("_"))
    imports = "".join(f"    {name},\n" for name in names)
    listed = "".join(f'    "{name}",\n' for name in names)
    text = f"{HEAD}from mc2._native.kernels import (\n{imports})\n\n__all__ = [\n{listed}]\n"
    (PACKAGE / "__init__.py").write_text(text)
    newest = max(ROOT.glob("build/cp*/kernels.pyi"), key=lambda stub: stub.stat().st_mtime)
    shutil.copyfile(newest, PACKAGE / "kernels.pyi")


if __name__ == "__main__":
    main()
