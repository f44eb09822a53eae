"""`mc2 upload` and `mc2 secret`: where rows and values come from."""

import io
import json
import sqlite3

import pytest

from mc2.cli import main as cli


@pytest.fixture
def mc2(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MC2_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, text=""):
        monkeypatch.setattr("sys.argv", ["mc2", *arguments])
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        code = cli.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def shop(tmp_path):
    with sqlite3.connect(tmp_path / "shop.sqlite") as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id, 'x' AS s")
    connection.close()
    return "shop.sqlite"


def test_a_query_shows_its_schema(mc2, shop):
    query = ("--query", "SELECT id, s FROM t")
    code, out, _ = mc2("upload", "--from", shop, *query, "--dry-run", "--json")
    found = json.loads(out)
    assert (code, found["rows"]) == (0, 1)
    assert [(c["name"], c["type"]) for c in found["columns"]] == [("id", "int64"), ("s", "string")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("upload",), "which file?"),
        (("upload", "a.csv", "--from", "b.csv"), "which file?"),
        (("upload", "--from", "shop.sqlite", "--dry-run"), "which rows?"),
        (("upload", "--from", "postgresql://a:hunter2@db/x", "--query", "SELECT 1", "--dry-run"),
         "holds a password"),
    ],
)  # fmt: skip
def test_mistakes(mc2, shop, arguments, message):
    code, _, err = mc2(*arguments)
    assert code == 2
    assert message in err
    assert "hunter2" not in err


def test_an_address_needs_a_name(mc2):
    assert mc2("init", "ada")[0] == 0
    code, _, err = mc2("upload", "--from", "postgresql://a@db/x", "--query", "SELECT 1")
    assert code == 2
    assert "--as NAME" in err


def test_a_secret_is_no_argument(mc2):
    assert mc2("init", "ada")[0] == 0
    code, _, err = mc2("secret", "limit", "--type", "int64")
    assert code == 2
    assert "no value on standard input" in err
    code, _, err = mc2("secret", "limit", "41", "--type", "int64")
    assert code == 2
    assert "unexpected" in err.lower()
