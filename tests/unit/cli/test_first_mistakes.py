"""The first wrong things that people type: what they read says what was wrong and what to do."""

from types import SimpleNamespace

import pytest

from mc2.cli import main as cli
from mc2.cli.options import full_job_id, when
from mc2.client import contract_words, contracts
from mc2.client.datasets import dataset_name
from mc2.errors import FormatError, UsageError


@pytest.fixture
def mc2(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MC2_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["mc2", *arguments])
        code = cli.main()
        return code, capsys.readouterr().err

    assert run("init", "ada")[0] == 0
    return run


def jobs(*ids):
    """A party that has some jobs."""
    return SimpleNamespace(status=lambda: [SimpleNamespace(job_id=i) for i in ids])


FIRST, SECOND = "3f2a" + "0" * 28, "3f2b" + "0" * 28


@pytest.mark.parametrize("text", ["", "3f2", "zzzz", "../../x", "z" * 32, "3F2A", FIRST + "0"])
def test_what_is_no_job_id_is_not_sent_anywhere(text):
    with pytest.raises(UsageError, match="not a job's id"):
        full_job_id(None, text)


def test_a_job_is_named_by_its_beginning():
    assert full_job_id(jobs(FIRST, SECOND), "3f2a") == FIRST
    assert full_job_id(None, SECOND) == SECOND
    with pytest.raises(UsageError, match="no job begins"):
        full_job_id(jobs(FIRST), "ffff")
    with pytest.raises(UsageError, match="2 jobs begin") as caught:
        full_job_id(jobs(FIRST, FIRST[:-1] + "1"), "3f2a")
    assert "more" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["tomorrow", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
def test_a_date_that_is_none(text):
    with pytest.raises(UsageError, match="is no date"):
        when(text)


def test_a_table_called_as_no_table_can_be():
    with pytest.raises(FormatError, match="'my file' is not a name") as caught:
        dataset_name("ada", "my file")
    assert "--as NAME" in caught.value.hint
    assert dataset_name("ada", "visits") == dataset_name("ada", "ada.visits") == "ada.visits"


def test_a_file_that_is_no_proof(mc2, tmp_path):
    (tmp_path / "results.json").write_text("{}")
    code, err = mc2("verify", "results.json")
    assert code == 3
    assert "results.json is not a proof" in err
    assert "mc2 download" in err
    code, err = mc2("verify", "results.json", "--contract", "visits")
    assert code == 3
    assert "--contract is not" in err
    assert "not a proof" not in err


def test_a_missing_coordinator_file_is_named_before_a_missing_token(mc2, monkeypatch):
    agreed = SimpleNamespace(min_tier="hardware-cvm")
    monkeypatch.setattr(contracts, "read_contract_file", lambda _: agreed)
    monkeypatch.setattr(contract_words, "describe_contract", lambda _: "")
    code, err = mc2("join", "c.toml", "--yes", "--coordinator", "absent.json")
    assert code == 2
    assert "cannot read absent.json" in err


def test_nobody_approves_unseen_what_a_coordinator_may_swap(mc2):
    code, err = mc2("approve", FIRST, "--yes")
    assert code == 2
    assert "--plan" in err
    assert "--script" in err


def test_leaving_is_confirmed_and_names_a_contract(mc2):
    code, said = mc2("leave", "study")
    assert code == 2
    assert "--yes" in said
    code, said = mc2("leave", "study", "--yes")
    assert code != 0
    assert "mc2 join" in said
