"""Where results and their proof are written: never over one another, never over another job's."""

from types import SimpleNamespace

import pytest

from mc2.client import downloads
from mc2.client.downloads import Destination, download
from mc2.client.results import OpenedModel
from mc2.errors import UsageError

JOB, OTHER = "0" * 32, "1" * 32
PROOFS = {JOB: b'{"proof":1}', OTHER: b'{"proof":2}'}


@pytest.fixture
def desk(monkeypatch):
    """A desk whose jobs have the outputs that `opened` says; all else is other tests' matter."""
    opened = {}
    monkeypatch.setattr(downloads, "fetch_proof", lambda _desk, job_id: job_id)
    monkeypatch.setattr(downloads, "open_outputs", lambda _desk, _job, _only, **_: dict(opened))
    home = SimpleNamespace(proofs=SimpleNamespace(get=PROOFS.get))
    return SimpleNamespace(home=home, opened=opened)


def test_a_model_called_proof_and_the_proof_both_arrive(desk, tmp_path):
    desk.opened["proof"] = OpenedModel(b"model")
    done = download(desk, JOB, Destination(tmp_path / "out"))
    assert done.files["proof"].read_bytes() == b"model"
    assert done.proof.read_bytes() == PROOFS[JOB]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"proof.json", "proof.model.json"}
    assert done.proof.stat().st_mode & 0o777 == 0o600


def test_the_proof_of_another_job_is_not_replaced_unasked(desk, tmp_path):
    desk.opened["a"] = OpenedModel(b"a")
    download(desk, JOB, Destination(tmp_path))
    desk.opened.clear()
    desk.opened["b"] = OpenedModel(b"b")
    with pytest.raises(UsageError, match="proof of another job"):
        download(desk, OTHER, Destination(tmp_path))
    assert (tmp_path / "proof.json").read_bytes() == PROOFS[JOB]
    assert not (tmp_path / "b.json").exists()
    download(desk, OTHER, Destination(tmp_path, overwrite=True))
    assert (tmp_path / "proof.json").read_bytes() == PROOFS[OTHER]


def test_parts_of_one_job_come_one_after_the_other(desk, tmp_path):
    for name in ("a", "b"):
        desk.opened.clear()
        desk.opened[name] = OpenedModel(name.encode())
        download(desk, JOB, Destination(tmp_path))
    assert {p.name for p in tmp_path.iterdir()} == {"a.json", "b.json", "proof.json"}
