"""`make prove`: run every gate, write obliviousness-report.json, say what did not hold."""

from __future__ import annotations

import sys

from tools.prove import binaries, report


def main() -> int:
    """0 if everything held."""
    found = report.prove(binaries.build(), lambda text: print(text, file=sys.stderr, flush=True))
    report.write(found)
    wrong = report.failures(found)
    for line in wrong:
        print(line)
    print(f"{'FAILED' if wrong else 'passed'}: {len(found['kernels'])} cases of kernels, "
          f"{len(found['operators']['cases'])} of operators, on {', '.join(found['isas'])}; "
          f"{report.PLACE}")  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
