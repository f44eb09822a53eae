"""Stock PySpark over a whole collaboration: proposal, approvals, enclave, receipt, result."""

from __future__ import annotations

import logging
import re
import threading
import time
import warnings
from datetime import timedelta

import pyarrow as pa
import pytest
from tests.support.world import ALONE_AND_SHARED, VISITS_A, World

from mc2.cli.demo.stage import answering
from mc2.client.connect.jobs import PartyRunner
from mc2.client.connect.server import Endpoint
from mc2.formats.status import JobState

pytestmark = [
    ALONE_AND_SHARED,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The copy keyword"),
]


@pytest.fixture
def found(world):
    return world


class Notebook:
    """A party's endpoint, a session in it, and what the endpoint told its terminal."""

    def __init__(self, made: World, name: str, *, seconds: float = 60) -> None:
        self.told: list[str] = []
        self.runner = PartyRunner(made.parties[name], timeout=timedelta(seconds=seconds))
        self.endpoint = Endpoint.start(self.runner, self.told.append)

    def __enter__(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pyspark.sql.connect.session import SparkSession
        self.spark = SparkSession.builder.remote(self.endpoint.connection).create()
        return self

    def __exit__(self, *_: object) -> None:
        self.spark.stop()
        self.endpoint.stop()


def jobs(made: World) -> list:
    return made.ada.status()


def test_a_party_alone_proposes_approves_runs_and_opens_in_one_go(found, caplog):
    from pyspark.sql.connect.functions import col

    with caplog.at_level(logging.DEBUG, logger="mc2"), Notebook(found, "ada") as book:
        visits = book.spark.read.table("ada.visits")
        assert jobs(found) == []  # a schema asks nobody
        assert visits.columns == VISITS_A.column_names
        assert jobs(found) == []
        sick = visits.filter(col("ill") == 1).select("patient", "glucose")
        assert sick.orderBy("patient").collect() == [(None, 9.0), (102, 7.5)]
        assert visits.count() == 5
        assert list(visits.groupBy("site").count().orderBy("site").toPandas()["count"]) == [1, 2, 2]
        (first, *_) = jobs(found)
        assert first.state is JobState.SUCCEEDED
        assert any("approved, all its data is yours" in line for line in book.told)
        # The same code again is the same plan: its result is opened again, no job is made.
        before = len(jobs(found))
        assert visits.count() == 5
        assert len(jobs(found)) == before
        assert any("the same plan was proposed before" in line for line in book.told)
        text = re.sub("[0-9a-f]{32}|[0-9a-f]{8}", "", "\n".join(book.told) + caplog.text)
        assert book.endpoint.connection.rpartition("=")[2] not in text
        for secret in ("north", "south", "7.5", "102", "Bearer"):
            assert secret not in text


def test_what_is_shown_is_what_spark_shows(found, capsys):
    with Notebook(found, "ada") as book:
        book.spark.sql("SELECT site, count(*) AS n FROM ada.visits GROUP BY site").show()
    assert capsys.readouterr().out == (
        "+-----+---+\n| site|  n|\n+-----+---+\n| NULL|  1|\n|north|  2|\n|south|  2|\n+-----+---+\n\n"
    )


def test_with_several_owners_it_waits_and_says_for_whom(found):
    with Notebook(found, "cy") as book, answering(found.ada, found.bo):
        both = book.spark.table("ada.visits").union(book.spark.table("bo.visits"))
        answers: list[object] = []
        thread = threading.Thread(target=lambda: answers.append(both.count()), daemon=True)
        thread.start()
        _until(lambda: any("approval of ada, bo" in line for line in book.told))
        assert not answers
        (job,) = jobs(found)
        assert job.state is JobState.PROPOSED
        found.approve(job.job_id)
        thread.join(60)
        assert answers == [8]


def test_an_owner_among_others_is_never_approved_for(found):
    with Notebook(found, "ada", seconds=3) as book:
        from pyspark.errors import PySparkException

        both = book.spark.table("ada.visits").union(book.spark.table("bo.visits"))
        with pytest.raises(PySparkException, match="still waits for"):
            both.count()
        (job,) = jobs(found)
        assert job.approvals == ()
        assert any("waits for your own approval: mc2 approve" in line for line in book.told)


def test_waiting_can_be_interrupted_and_gone_on_with(found):
    from pyspark.errors import PySparkException

    with Notebook(found, "cy") as book, answering(found.ada, found.bo):
        frame = book.spark.table("ada.visits").select("site").distinct()
        failures: list[BaseException] = []

        def collect() -> None:
            try:
                frame.collect()
            except PySparkException as error:
                failures.append(error)

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        _until(lambda: any("approval of ada" in line for line in book.told))
        assert len(book.spark.interruptAll()) == 1
        thread.join(30)
        assert "OPERATION_CANCELED" in str(failures[0])
        (job,) = jobs(found)
        found.approve(job.job_id, "ada")
        assert sorted(r.site or "" for r in frame.collect()) == ["", "north", "south"]
        assert len(jobs(found)) == 1


def test_a_rejected_job_is_an_error_that_names_who(found):
    from pyspark.errors import PySparkException

    with Notebook(found, "cy") as book, answering(found.ada):
        frame = book.spark.table("ada.visits").select("site")
        failures: list[str] = []

        def collect() -> None:
            try:
                frame.collect()
            except PySparkException as error:
                failures.append(str(error))

        thread = threading.Thread(target=collect, daemon=True)
        thread.start()
        _until(lambda: len(jobs(found)) == 1)
        found.ada.reject(jobs(found)[0].job_id, "not this column")
        thread.join(60)
        assert "rejected by ada" in failures[0]
        assert "[MC2_JOB]" in failures[0]


def test_new_data_makes_a_new_job(found):
    with Notebook(found, "ada") as book:
        visits = book.spark.table("ada.visits")
        assert visits.count() == 5
        found.ada.upload(pa.concat_tables([VISITS_A, VISITS_A]), "visits")
        assert visits.count() == 10
        assert len(jobs(found)) == 2


def _until(true, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
