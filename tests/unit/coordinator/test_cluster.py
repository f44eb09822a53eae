"""The coordinator's part in a cluster: it borrows, introduces, passes on and gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from mc2.coordinator.cluster import Cluster, Introduction
from mc2.errors import AppraisalError, AttestationError, WorkerError
from mc2.formats.fields import check_name
from mc2.formats.worker import OpenedJob

SHOWN = Introduction(bundle=b"bundle", challenges={"ada": b"asks"}, evidence=b"leader")


@dataclass(eq=False)
class FakeWorker:
    name: str
    spoil: dict[str, Exception] = field(default_factory=dict)
    calls: list[Any] = field(default_factory=list)

    def _step(self, name: str, *said: Any) -> None:
        self.calls.append((name, *said))
        if name in self.spoil:
            raise self.spoil[name]

    def open(self, bundle: bytes, *, timeout_seconds: float) -> OpenedJob:
        self._step("open", bundle)
        return OpenedJob(("ada",))

    def join(
        self,
        challenges: Mapping[str, bytes],
        evidence: bytes,
        invitation: bytes,
        *,
        timeout_seconds: float,
    ) -> bytes:
        self._step("join", dict(challenges), evidence, invitation)
        return f"evidence of {self.name}".encode()

    def prove(self, probe: bytes, *, timeout_seconds: float) -> bytes:
        self._step("prove", probe)
        return f"token of {self.name}".encode()

    def enter(self, admission: bytes, *, timeout_seconds: float) -> None:
        self._step("enter", admission)


class FakePool:
    def __init__(self, *workers: FakeWorker) -> None:
        self.free = list(workers)
        self.given_back: list[str] = []

    def acquire(self, *, timeout_seconds: float) -> FakeWorker:
        assert timeout_seconds == 0  # nobody waits for helpers
        if not self.free:
            raise WorkerError("all are busy")
        return self.free.pop(0)

    def release(self, worker: FakeWorker) -> None:
        self.given_back.append(worker.name)
        self.free.append(worker)


def cluster(
    pool: FakePool,
    *,
    most: int = 9,
    may_borrow: Callable[[], bool] = lambda: True,
    keep: Callable[[Iterable[bytes]], None] = list,
) -> Cluster[FakeWorker]:
    return Cluster(pool, SHOWN, most=most, may_borrow=may_borrow, keep=keep, timeout_seconds=1)


def test_free_workers_are_introduced() -> None:
    pool = FakePool(FakeWorker("worker_2"), FakeWorker("worker_3"))
    kept: list[bytes] = []
    found = cluster(pool, keep=kept.extend)
    joined = found.gather(b"come")
    assert joined == {
        "worker_2": b"evidence of worker_2",
        "worker_3": b"evidence of worker_3",
    }
    entered = found.admit({"worker_2": b"2", "worker_3": b"3"})
    assert entered == ["worker_2", "worker_3"]
    assert found.workers["worker_3"].calls == [
        ("open", b"bundle"),
        ("join", {"ada": b"asks"}, b"leader", b"come"),
        ("enter", b"3"),
    ]
    assert sorted(kept) == sorted(joined.values())
    found.release()
    assert sorted(pool.given_back) == ["worker_2", "worker_3"]
    assert not found.workers


def test_no_more_are_borrowed_than_a_job_may_have() -> None:
    pool = FakePool(*(FakeWorker(f"worker_{i}") for i in range(2, 6)))
    assert len(cluster(pool, most=2).gather(b"come")) == 2
    assert not cluster(pool, most=0).gather(b"come")


def test_nobody_is_borrowed_while_another_job_waits() -> None:
    pool = FakePool(FakeWorker("worker_2"))
    assert not cluster(pool, may_borrow=lambda: False).gather(b"come")
    assert pool.free


@pytest.mark.parametrize("step", ["open", "join"])
def test_who_does_not_join_is_given_back_and_not_named(step: str) -> None:
    pool = FakePool(FakeWorker("worker_2", {step: AppraisalError("no")}), FakeWorker("worker_3"))
    found = cluster(pool)
    assert found.gather(b"come").keys() == {"worker_3"}
    assert pool.given_back == ["worker_2"]


def test_probes_go_to_whom_they_are_for() -> None:
    pool = FakePool(FakeWorker("worker_2"), FakeWorker("worker_3"))
    found = cluster(pool)
    found.gather(b"come")
    assert found.probe({"worker_3": b"3", "worker_9": b"9"}) == {"worker_3": b"token of worker_3"}
    assert ("prove", b"3") in found.workers["worker_3"].calls
    assert not any(call[0] == "prove" for call in found.workers["worker_2"].calls)


def test_who_does_not_answer_a_probe_is_given_back_and_not_admitted() -> None:
    silent = FakeWorker("worker_2", {"prove": AttestationError("not for this machine")})
    pool = FakePool(silent, FakeWorker("worker_3"))
    found = cluster(pool)
    found.gather(b"come")
    assert found.probe({"worker_2": b"2", "worker_3": b"3"}).keys() == {"worker_3"}
    assert pool.given_back == ["worker_2"]
    assert found.admit({"worker_2": b"2", "worker_3": b"3"}) == ["worker_3"]


def test_who_is_not_admitted_is_given_back() -> None:
    pool = FakePool(FakeWorker("worker_2"), FakeWorker("worker_3"))
    kept: list[bytes] = []
    found = cluster(pool, keep=kept.extend)
    found.gather(b"come")
    assert found.admit({"worker_3": b"3"}) == ["worker_3"]
    assert pool.given_back == ["worker_2"]
    assert kept == [b"evidence of worker_3"]


def test_who_does_not_enter_is_not_named() -> None:
    pool = FakePool(FakeWorker("worker_2", {"enter": WorkerError("died")}), FakeWorker("worker_3"))
    found = cluster(pool)
    found.gather(b"come")
    assert found.admit({"worker_2": b"2", "worker_3": b"3"}) == ["worker_3"]
    assert found.workers.keys() == {"worker_3"}


def test_admissions_of_strangers_are_dropped() -> None:
    found = cluster(FakePool(FakeWorker("worker_2")))
    found.gather(b"come")
    assert found.admit({"worker_9": b"9"}) == []


def test_another_epoch_begins_with_whoever_is_free() -> None:
    pool = FakePool(FakeWorker("worker_2"))
    found = cluster(pool)
    found.gather(b"first")
    pool.free.append(FakeWorker("worker_3"))  # late
    assert found.gather(b"second").keys() == {"worker_2", "worker_3"}
    assert pool.given_back == ["worker_2"]


def test_workers_of_one_name_are_told_apart() -> None:
    found = cluster(FakePool(*(FakeWorker("worker") for _ in range(3))))
    assert found.gather(b"come").keys() == {"worker", "worker_2", "worker_3"}


def test_workers_of_one_long_name_keep_names_that_a_leader_takes() -> None:
    """Enclaves at homes are called after their parties: a leader refuses all for one wrong name."""
    wanted = f"home_{'a' * 58}"
    found = cluster(FakePool(*(FakeWorker(wanted) for _ in range(3)))).gather(b"come")
    assert len(found) == 3
    assert {check_name(name, "a worker") for name in found} == found.keys()


def test_a_defect_of_ours_is_not_taken_for_a_workers_refusal() -> None:
    found = cluster(FakePool(FakeWorker("worker_2", {"join": ZeroDivisionError()})))
    with pytest.raises(ZeroDivisionError):
        found.gather(b"come")


def test_evidence_that_cannot_be_kept_ends_the_admission() -> None:
    def full(_: Iterable[bytes]) -> None:
        raise OSError

    pool = FakePool(FakeWorker("worker_2"))
    found = cluster(pool, keep=full)
    found.gather(b"come")
    with pytest.raises(OSError):  # any
        found.admit({"worker_2": b"2"})
    found.release()
    assert pool.given_back == ["worker_2"]
