"""Every way that a command can end is one message and one exit code, never a traceback."""

import errno
import json

import click
import pytest

from mc2.cli import main as cli
from mc2.cli.log import command as log_command


@pytest.mark.parametrize("home", ["/proc/no-such/home", "/dev/null/home"])
def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(home, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mc2", "init", "ada", "--home", home])
    assert cli.main() == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert home in err or home.rpartition("/")[0] in err
    assert "next:" in err


def test_a_full_disk_is_an_error_in_json_too(monkeypatch, capsys):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/home/ledger.jsonl")

    monkeypatch.setattr(log_command, "callback", full)
    monkeypatch.setattr("sys.argv", ["mc2", "log", "--json"])
    assert cli.main() == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["message"] == "No space left on device: /srv/home/ledger.jsonl"
    assert error["exit_code"] == 1


@pytest.mark.parametrize("arguments", [[], ["policy"]])
def test_no_command_shows_the_menu_as_it_is(arguments, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mc2", *arguments])
    assert cli.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: ")
    assert len(err.splitlines()) > 5
    assert "\\u000a" not in err


def commands(command, *path):
    """Every command that does something, with the words that lead to it."""
    if not isinstance(command, click.Group):
        yield " ".join(path), command
        return
    with click.Context(command) as context:
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), *path, name)


def test_every_command_speaks_json_and_shows_an_example():
    found = dict(commands(cli.Commands("mc2")))
    assert {name.split()[0] for name in found} == set(cli.COMMANDS)
    for name, command in found.items():
        assert "--json" in {word for p in command.params for word in p.opts}, name
        assert f"mc2 {name}" in (command.epilog or ""), name
