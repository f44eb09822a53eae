"""The trusted computing base: every module and third-party package that the enclave reaches.

Prints the report; `--write` updates `docs/reference/tcb.txt`, `--check` fails when it is stale,
so that growth of what must be trusted is seen in review. Imports inside functions count too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "docs" / "reference" / "tcb.txt"
ENTRY = "mc2.enclave.__main__"
HEADER = """\
What the enclave reaches from its entry point, by `python tools/tcb.py --write`.
A change of this file is a change of what data owners must trust: say why in CHANGELOG.md.
"""


def report() -> str:
    """Modules of mc2, then packages of others, one a line."""
    graph = grimp.build_graph("mc2", include_external_packages=True, cache_dir=None)
    reached = graph.find_upstream_modules(ENTRY) | {ENTRY}
    # Importing a module runs the packages above it.
    for name in list(reached):
        parts = name.split(".")
        reached |= {".".join(parts[:i]) for i in range(1, len(parts))}
    ours = sorted(m for m in reached if m == "mc2" or m.startswith("mc2."))
    external = sorted(m for m in reached - set(ours) if m not in sys.stdlib_module_names)
    lines = [HEADER, "mc2:", *(f"  {m}" for m in ours)]
    lines += ["", "third party:", *(f"  {m}" for m in external)]
    return "\n".join(lines) + "\n"


def code_lines(text: str) -> int:
    """Lines of Python in the modules that a report names."""
    total = 0
    for line in text.splitlines():
        if line.startswith("  mc2"):
            path = ROOT / "src" / line.strip().replace(".", "/")
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                total += len(file.read_text().splitlines()) if file.exists() else 0
    return total


def main() -> int:
    """Print, write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the file is stale")
    parser.add_argument("--write", action="store_true", help="update the file")
    arguments = parser.parse_args()
    text = report()
    if arguments.write:
        GOLDEN.write_text(text)
    elif arguments.check:
        if not GOLDEN.exists() or GOLDEN.read_text() != text:
            before = set(GOLDEN.read_text().splitlines()) if GOLDEN.exists() else set()
            after = set(text.splitlines())
            sys.stderr.write("the trusted computing base changed:\n")
            sys.stderr.writelines(f"  + {m.strip()}\n" for m in sorted(after - before))
            sys.stderr.writelines(f"  - {m.strip()}\n" for m in sorted(before - after))
            sys.stderr.write("if that is meant: python tools/tcb.py --write\n")
            return 1
    else:
        sys.stdout.write(text)
        sys.stdout.write(f"\n{code_lines(text)} lines of Python in mc2's own modules\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
