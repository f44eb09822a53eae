"""Writes `vectors/`: accept and reject cases of every format; `--check` compares instead.

The cases come from `tools/vectors/*.py`, each with a function `cases()`. Every implementation of
mc2's formats can run them: a case has `format`, `name`, `comment`, `expect` (`accept` or
`reject`), for rejects the `error` that must be raised, and the bytes as `text` or `hex`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def generate() -> dict[str, str]:
    """All vector files: name to text."""
    files: dict[str, list[dict[str, str]]] = {}
    sources = sorted(p.stem for p in (ROOT / "tools" / "vectors").glob("*.py"))
    for source in sources:
        module = importlib.import_module(f"tools.vectors.{source}")
        for case in getattr(module, "cases", list)():
            files.setdefault(case["format"], []).append(case)
    for name, cases in files.items():
        names = [c["name"] for c in cases]
        assert len(set(names)) == len(names), f"two vectors of one name in {name}"
    return {
        f"{name}.json": json.dumps(cases, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
        for name, cases in files.items()
    }


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if stale")
    check = parser.parse_args().check
    folder = ROOT / "vectors"
    folder.mkdir(exist_ok=True)
    stale = []
    files = generate()
    for name, text in files.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    extra = {p.name for p in folder.glob("*.json")} - set(files)
    if check and (stale or extra):
        sys.stderr.write(
            f"vectors are stale: {sorted(set(stale) | extra)}; run tools/gen_vectors.py\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
