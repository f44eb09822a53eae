"""Builds the wheel as `pip wheel` does, from copies of the tree, so that no build is shared."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SOURCE_DATE = "1700000000"
_PARTS = ("src", "native", "CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE")


def snapshot(folder: Path) -> Path:
    """A copy of what a wheel is built from, as a checkout would have it."""
    for name in _PARTS:
        path = REPOSITORY / name
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(path, target)
    return folder


def build_wheel(source: Path, folder: Path) -> Path:
    """A wheel of a snapshot, built from nothing, in `folder`."""
    copy = folder / "source"
    shutil.copytree(source, copy)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(copy),
        ],
        check=True,
        env={
            **os.environ,
            "SOURCE_DATE_EPOCH": SOURCE_DATE,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel
