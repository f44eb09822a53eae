"""What is sent to executors is whole: it starts an enclave's modules where mc2 is not installed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mc2.errors import UsageError
from mc2.spark.__main__ import main
from mc2.spark.shipping import (
    SHIPPED_ENCLAVE,
    SHIPPED_PYTHON,
    check_master,
    pack,
    shipped_command,
    shipped_settings,
)

IMPORTS = """\
import sys
import mc2, mc2.spark.keeper, mc2.spark.on_executor, mc2.enclave.code_identity as code
import mc2._native.kernels as kernels
print(mc2.__file__)
print(kernels.__file__)
print(code.code_identity()["mc2.code"])
"""


@pytest.mark.slow
def test_an_archive_has_all_that_executors_need(tmp_path: Path) -> None:
    with tarfile.open(pack(tmp_path / "mc2.tar.gz")) as archive:
        archive.extractall(tmp_path / "mc2", filter="data")
    assert not (tmp_path / "mc2.tar.gz.part").exists()
    done = subprocess.run(
        [SHIPPED_PYTHON, "-c", IMPORTS],
        cwd=tmp_path,
        env={"PATH": f"{sys.base_prefix}/bin:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    package, kernels, code = done.stdout.split()
    assert package.startswith(f"{tmp_path}/mc2/packages/")
    assert kernels.startswith(f"{tmp_path}/mc2/packages/")
    here = subprocess.run(
        [sys.executable, "-c", IMPORTS], stdout=subprocess.PIPE, text=True, check=True
    )
    assert here.stdout.split()[2] == code  # what a policy accepts here, it accepts there


def test_commands_of_this_host_become_those_of_the_archive() -> None:
    assert shipped_command(["mc2-enclave", "--tee", "tdx"]) == (*SHIPPED_ENCLAVE, "--tee", "tdx")
    assert shipped_command(["/opt/bin/mc2-enclave"]) == SHIPPED_ENCLAVE
    own = [sys.executable, "-m", "mc2.enclave", "--threads", "2"]
    assert shipped_command(own) == (SHIPPED_PYTHON, *own[1:])
    assert shipped_command(["tcp:127.0.0.1:7000"]) == ("tcp:127.0.0.1:7000",)


def test_other_archives_are_kept() -> None:
    assert shipped_settings("/a.tar.gz") == {"spark.archives": "/a.tar.gz#mc2"}
    both = shipped_settings("/a.tar.gz", "/b.zip#b")
    assert both == {"spark.archives": "/b.zip#b,/a.tar.gz#mc2"}


def test_local_executors_have_mc2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_master("spark://host:7077")
    with pytest.raises(UsageError, match="have mc2 already"):
        check_master("local[2]")
    arguments = ["--folder", str(tmp_path), "--master", "local[2]", "--ship"]
    assert main(arguments) == UsageError.exit_code
    assert "leave --ship out" in capsys.readouterr().err
