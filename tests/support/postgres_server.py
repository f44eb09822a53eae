"""A PostgreSQL server for tests: Debian's, on a Unix socket alone, its files in a folder of its own.

PostgreSQL refuses to run as root; then it runs as the user that its package made, or as nobody.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
_PROGRAMS = _PLACES[-1] if _PLACES else None

needs_postgres = pytest.mark.skipif(
    _PROGRAMS is None, reason="PostgreSQL is not installed (Debian: apt-get install postgresql)"
)


def _other_user() -> str | None:
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _run(program: str, *arguments: str, user: str | None) -> None:
    subprocess.run(
        [str(_PROGRAMS / program), *arguments],
        check=True,
        capture_output=True,
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "America/New_York"},
        timeout=120,
    )


@contextmanager
def postgres_server() -> Iterator[str]:
    """A fresh server with the user `reader` and the database `postgres`; its address."""
    user = _other_user()
    folder = Path(tempfile.mkdtemp(prefix="mc2-pg-"))  # a short path: sockets allow 100 characters
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        _run("initdb", "-D", str(data), "-U", "reader", "-A", "scram-sha-256", "--no-sync",
             f"--pwfile={_password_file(folder)}", user=user)  # fmt: skip
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c timezone=America/New_York"
        control = ("pg_ctl", "-D", str(data), "-w", "-t", "60")
        _run(*control, "-l", str(folder / "log"), "-o", options, "start", user=user)
        try:
            yield f"postgresql://reader@{str(folder).replace('/', '%2F')}/postgres"
        finally:
            _run(*control, "-m", "immediate", "stop", user=user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


PASSWORD = "Xk7pw9QsecretQ"


def _password_file(folder: Path) -> Path:
    path = folder / "password"
    path.write_text(PASSWORD)
    path.chmod(0o644)
    return path
