"""`mc2 init --new-ledger`: the way out that every error about a lost ledger names."""

import json

import pytest

from mc2.cli import main as cli
from mc2.client.party import Party
from mc2.errors import LedgerError


@pytest.fixture
def mc2(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MC2_HOME", str(tmp_path / "home"))

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["mc2", *arguments])
        code = cli.main()
        out, err = capsys.readouterr()
        return code, out, err

    assert run("init", "ada")[0] == 0
    return run


def test_a_lost_ledger_is_begun_anew(mc2, tmp_path):
    ledger = tmp_path / "home" / "ledger.jsonl"
    ledger.unlink()
    code, _, err = mc2("log")
    assert code == LedgerError.exit_code
    assert "mc2 init --new-ledger" in err
    code, out, err = mc2("init", "--new-ledger", "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["ledger"] == str(ledger)
    assert Party.open(tmp_path / "home").log()[0].event.replaces_lost


def test_a_home_whose_making_was_killed_is_mended(mc2, tmp_path):
    home = tmp_path / "home"
    for left in home.glob("ledger.*"):
        left.unlink()
    assert mc2("init", "ada")[0] == 2
    assert mc2("init", "ada", "--new-ledger", "--yes")[0] == 0
    assert mc2("log")[0] == 0


def test_a_whole_ledger_is_never_forgotten(mc2, tmp_path):
    before = (tmp_path / "home" / "ledger.jsonl").read_bytes()
    code, _, err = mc2("init", "--new-ledger", "--yes")
    assert code == 2
    assert "must not be forgotten" in err
    assert (tmp_path / "home" / "ledger.jsonl").read_bytes() == before


def test_a_person_confirms_or_nothing_happens(mc2, tmp_path):
    (tmp_path / "home" / "ledger.head").unlink()
    code, _, err = mc2("init", "--new-ledger")
    assert code == 2
    assert "no terminal" in err
    assert not (tmp_path / "home" / "ledger.head").exists()


def test_another_partys_name_is_refused(mc2, tmp_path):
    (tmp_path / "home" / "ledger.head").unlink()
    code, _, err = mc2("init", "bo", "--new-ledger", "--yes")
    assert code == 2
    assert "this home is of ada" in err
