"""The shell commands of docs/howto/collaborate.md, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "collaborate.md"


def test_the_page_works_as_it_stands(tmp_path):
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 8
    script = "set -euo pipefail\n" + "\n".join(blocks)
    # `mc2` and `python` are those of this environment.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (tmp_path / "results" / "visits.csv").read_text().splitlines()
    assert rows[0] == '"site","visits","glucose"'
    assert [row.split(",")[1] for row in rows[1:]] == ['"2"', '"2"', '"1"']
