"""The command line as people use it: help, errors, JSON, exit codes, and the demonstration."""

import json
import os
import re
import subprocess
import sys

import pytest

from mc2.cli.main import COMMANDS


def mc2(*arguments, home=None, text=None):
    environment = {**os.environ, "COLUMNS": "100"}
    if home is not None:
        environment["MC2_HOME"] = str(home)
    return subprocess.run(
        [sys.executable, "-m", "mc2.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
    )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(command):
    done = mc2(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: python -m mc2.cli.main {command}" in done.stdout or "Usage:" in done.stdout
    assert "Example" in done.stdout


def test_the_menu_lists_every_command_and_loads_nothing_heavy():
    script = (
        "import sys; sys.argv = ['mc2', '--help']\n"
        "from mc2.cli.main import main\n"
        "code = main()\n"
        "heavy = ['pyarrow', 'duckdb', 'xgboost', 'sqlglot', 'httpx', 'rich', 'numpy', 'fastapi',\n"
        "         'cryptography']\n"
        "sys.exit(code or ', '.join(m for m in heavy if m in sys.modules) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(re.search(rf"^  {name} ", done.stdout, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["frobnicate"], 2, "no command"),
        (["ini"], 2, "mc2 init"),
        (["init"], 2, "Missing argument"),
        (["init", "Not A Name"], 3, "not a name"),
        (["review", "abcd"], 2, "identity|mc2 init"),
        (["upload"], 2, "which file"),
        (["start", "--tee", "simulated"], 2, "--unsafe-simulation"),
        (["start", "--tee", "tdx", "--folder", "/dev/null"], 8, "no tdx.*--workers 0"),
        (["verify", "no-such-file"], 2, "cannot read"),
        (["card", "no-such-file"], 2, "cannot read"),
        (["stop", "--folder", "nowhere"], 16, "no coordinator"),
    ],
)
def test_errors_name_the_next_step(arguments, code, words, tmp_path):
    done = mc2(*arguments, home=tmp_path / "home")
    assert done.returncode == code, done.stderr
    assert re.search(words, done.stderr, re.DOTALL)
    assert done.stdout == ""
    as_json = mc2(*arguments, "--json", home=tmp_path / "home")
    assert as_json.returncode == code
    error = json.loads(as_json.stderr)["error"]
    assert error["exit_code"] == code
    assert error["message"]


def test_init_never_overwrites(tmp_path):
    first = mc2("init", "ada", "--json", home=tmp_path / "home")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert oct((tmp_path / "home" / "identity.json").stat().st_mode & 0o777) == "0o600"
    again = mc2("init", "ada", home=tmp_path / "home")
    assert again.returncode == 2
    assert "never overwritten" in again.stderr
    shown = json.loads(mc2("card", made["card"], "--json").stdout)
    assert shown["fingerprint"] == made["fingerprint"]


def test_a_passphrase_is_asked_for(tmp_path):
    home = tmp_path / "home"
    environment = {**os.environ, "MC2_HOME": str(home), "MC2_PASSPHRASE": "correct horse"}
    arguments = [sys.executable, "-m", "mc2.cli.main"]
    made = subprocess.run(
        [*arguments, "init", "ada", "--passphrase"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    without = mc2("card", home=home)
    assert without.returncode == 2
    assert "MC2_PASSPHRASE" in without.stderr
    wrong = subprocess.run(
        [*arguments, "card"],
        env={**environment, "MC2_PASSPHRASE": "wrong"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert wrong.returncode == 5
    assert "passphrase" in wrong.stderr


def test_a_dry_run_shows_the_schema_and_needs_no_party(tmp_path):
    (tmp_path / "t.csv").write_text('id,name,when\n1,"a, b",2026-01-01\n2,,2026-01-02\n')
    done = mc2("upload", str(tmp_path / "t.csv"), "--dry-run", "--json", home=tmp_path / "home")
    found = json.loads(done.stdout)
    assert found["rows"] == 2
    assert {c["name"]: c["type"] for c in found["columns"]} == {
        "id": "int64",
        "name": "string",
        "when": "date",
    }


def test_the_demonstration(tmp_path):
    done = mc2("demo", "--json", "--keep", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["attacks_refused"] == "3 of 3"
    assert facts["patients_in_the_study"] == 426
    assert "the two models are the same, tree by tree" in done.stderr
    assert "SIMULATED" in done.stderr
    proof = tmp_path / "run" / "institute" / "proofs"
    (one,) = proof.glob("*.json")
    checked = mc2(
        "verify",
        str(one),
        "--home",
        str(tmp_path / "run" / "clinic_a"),
        "--unsafe-simulation",
        "--json",
    )
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["tier"] == "simulated"
    refused = mc2("verify", str(one), "--home", str(tmp_path / "run" / "clinic_a"))
    assert refused.returncode == 14
