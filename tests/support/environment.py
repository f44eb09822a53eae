"""An environment of its own for a worker: mc2's files copied, everything else linked.

What runs there is not touched by whoever edits the sources meanwhile, and one file of it can be
changed without changing it for others.
"""

from __future__ import annotations

import importlib.util
import shutil
import site
import subprocess
import sys
from pathlib import Path

import mc2


class Environment:
    """A virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        (self._packages,) = (folder / "lib").glob("python*/site-packages")

    @classmethod
    def make(cls, folder: Path) -> Environment:
        """A copy of what runs the tests."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        made = cls(folder)
        for place in site.getsitepackages():
            for path in Path(place).iterdir():
                if path.suffix != ".pth" and path.name != "mc2" and "editable" not in path.name:
                    (made._packages / path.name).symlink_to(path)
        copied = made._packages / "mc2"
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(Path(mc2.__file__).parent, copied, ignore=ignored)
        kernels = importlib.util.find_spec("mc2._native.kernels")
        assert kernels is not None
        assert kernels.origin is not None
        shutil.copy(kernels.origin, copied / "_native")
        return made

    def file(self, name: str) -> Path:
        """A file of mc2 in here: `enclave/session.py`."""
        return self._packages / "mc2" / name
