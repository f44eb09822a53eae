"""Jobs whose tasks Spark schedules, over real enclaves; Spark itself is pretended."""

from __future__ import annotations

from tests.support.spark_jobs import answer, expected


def test_a_job_gives_the_right_answer_and_leaves_nothing_behind(make_fleet) -> None:
    fleet = make_fleet(2)
    attempt = fleet.attempt()
    outcome = attempt.run()
    assert answer(attempt.job, outcome) == expected(attempt.job)
    assert len(attempt.members) == 2
    assert [len(epoch) for epoch in attempt.receipt.epochs] == [3]
    assert attempt.receipt.tasks is not None
    assert fleet.jobs.runs, attempt.said
    assert fleet.blocks == []
