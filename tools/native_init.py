"""Write `mc2/_native/__init__.py` and the stub from the built module."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "mc2" / "_native"
HEAD = '''"""The compiled kernels (C++20, `native/`): the one door to them.

Every kernel's sequence of instructions and memory addresses depends on lengths alone. Only
`mc2.operators` and `mc2.ml` may import this. Written by `tools/native_init.py`.
"""

'''


def _built() -> ModuleType:
    """The newest module in the build tree; not through the package, whose list may be stale."""
    newest = max(ROOT.glob("build/cp*/kernels.*.so"), key=lambda found: found.stat().st_mtime)
    spec = importlib.util.spec_from_file_location("mc2._native.kernels", newest)
    if spec is None or spec.loader is None:
        raise ImportError(str(newest))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """List what the module offers, and copy the stub that the build made."""
    kernels = _built()
    names = sorted(name for name in dir(kernels) if not name.startswith("_"))
    imports = "".join(f"    {name},\n" for name in names)
    listed = "".join(f'    "{name}",\n' for name in names)
    text = f"{HEAD}from mc2._native.kernels import (\n{imports})\n\n__all__ = [\n{listed}]\n"
    (PACKAGE / "__init__.py").write_text(text)
    newest = max(ROOT.glob("build/cp*/kernels.pyi"), key=lambda stub: stub.stat().st_mtime)
    shutil.copyfile(newest, PACKAGE / "kernels.pyi")


if __name__ == "__main__":
    main()
