"""Jobs on a real Spark cluster of processes: a master, two workers, an enclave beside each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.spark.conftest import Networked, Standalone, environment

pytestmark = pytest.mark.timeout(1800)
QUERIES = [str(n) for n in range(1, 23)]


def whole(found: dict) -> None:
    """A job that gave the right answer and left nothing behind."""
    assert found.get("right"), found
    assert found["left"] == []


def test_a_cluster_gives_the_right_answer_and_sees_no_plaintext(standalone: Standalone) -> None:
    found = standalone.run("plain")
    for job in (found["first"], found["second"]):
        whole(job)
        assert job["members"] == 2
        assert job["epochs"] == [3]
    marks = [found["marker"].encode()]
    for job in (found["first"], found["second"]):
        marks += [m for key in job["keys"] for m in (bytes.fromhex(key), key.encode())]
    files = [p for p in standalone.folder.rglob("*") if p.is_file() and not p.is_symlink()]
    events = [p for p in files if "events" in p.parts]
    assert any(b"mc2 5e5e5e5e/1: stage " in p.read_bytes() for p in events)
    assert found["scan_works"]  # what Spark does know is found in its driver's memory
    assert found["in_memory"] == 0
    assert found["executors_work"] > 0
    assert found["in_executors"] == 0
    assert found["spilled"] > 0
    assert found["in_spilled"] == 0
    for path in files:
        raw = path.read_bytes()
        assert not any(mark in raw for mark in marks), path


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["executor_killed", "enclave_killed", "python_killed"])
def test_what_dies_costs_its_own_work_alone(standalone: Standalone, fault: str) -> None:
    found = standalone.run(fault)
    whole(found["first"])
    whole(found["second"])
    assert found["second"]["members"] == 2, found["second"]
    assert found.get("gone", True)


@pytest.mark.slow
def test_an_enclave_that_hangs_is_ended(standalone: Standalone) -> None:
    found = standalone.run("enclave_hung")
    whole(found["first"])
    whole(found["second"])


@pytest.mark.slow
def test_a_lost_block_is_written_anew(standalone: Standalone) -> None:
    found = standalone.run("block_lost")
    whole(found["first"])
    whole(found["second"])


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["cut", "killed"])
def test_a_host_that_is_lost_in_mid_stage_costs_its_own_work_alone(
    networked: Networked, fault: str
) -> None:
    found = networked.lose(fault)
    assert found["before"]["members"] == 3, found["before"]
    for job in found.values():
        whole(job)
    assert found["second"]["members"] == 2, found["second"]


@pytest.mark.slow
def test_executors_that_come_and_go_are_appraised_anew(standalone: Standalone) -> None:
    found = standalone.start("spark_driver", "dynamic", seconds=1200)
    for job in (found["first"], found["second"]):
        whole(job)
        assert job["members"] >= 1, found
        assert job["epochs"] == [1 + job["members"]], found
    assert found["before"] >= 1
    assert found["kept"] == 0, found
    assert found["same"] == 0, found


@pytest.mark.slow
def test_executors_without_mc2_get_it_with_the_application(bare: Standalone) -> None:
    found = bare.run("shipped")
    whole(found["first"])
    assert found["first"]["members"] == 2, found
    executors = Path(bare.folder, "work")  # where a standalone worker keeps what it is sent
    assert all(executors in Path(path).parents for path in found["places"]), found


def test_two_queries_of_tpch_within_one_process_tree(tmp_path: Path) -> None:
    """Groups, and two joins with a top-k: both are cut into tasks at this size."""
    found = Standalone("local[2]", tmp_path, environment(tmp_path)).start(
        "spark_tpch", "0.02", "1", "3"
    )
    assert list(found) == ["1", "3"]
    assert all(job.get("right") for job in found.values()), found
    assert all(job["tasks"] > 0 and job["members"] == 2 for job in found.values()), found


@pytest.mark.slow
def test_queries_of_tpch_give_what_duckdb_gives(standalone: Standalone) -> None:
    found = standalone.start("spark_tpch", "0.05", *QUERIES, seconds=1500)
    assert list(found) == QUERIES
    assert all(job.get("right") for job in found.values()), found
    assert all(job["members"] == 3 for job in found.values()), found
    cut = [number for number, job in found.items() if job["tasks"]]
    assert len(cut) >= 15, found  # others read tables that one enclave takes whole


@pytest.mark.slow
def test_oblivious_queries_of_tpch_give_what_duckdb_gives(standalone: Standalone) -> None:
    found = standalone.start("spark_oblivious", "answers", seconds=1500)
    del found["spark"]
    assert list(found) == QUERIES
    assert all(job["right"] for job in found.values()), found
    assert len([1 for job in found.values() if job["through_spark"]]) >= 15, found


@pytest.mark.slow
def test_oblivious_queries_look_alike_for_other_data(standalone: Standalone) -> None:
    found = standalone.start("spark_oblivious", "queries")
    spark = found.pop("spark")
    for job in found.values():
        assert job["right"], found
        assert job["members"] == 2, found
        assert job["through_spark"] > 0, found
        assert job["tasks"] >= 3, found
        assert job["same_tasks"], found
        assert job["same_sizes"], found
    assert found
    task = re.compile(r"mc2 5e5e5e5e/1: stage \d+, task \d+, attempt 1")
    assert all(n == "mc2: look for enclaves" or task.fullmatch(n) for n in spark["names"]), spark
    assert len(spark["names"]) > 1
    assert spark["tasks"] == [1, 2]  # a task of ours is one of Spark's; a look is one for each
    assert spark["moved"] == 0


@pytest.mark.slow
def test_executors_train_the_bits_of_one_enclave_though_one_dies(standalone: Standalone) -> None:
    found = standalone.start("spark_oblivious", "training")
    assert found["same"] == [True, True, True], found
    alone, together, lost = found["runs"]
    assert alone["steps"] == 0
    assert not alone["shared"]
    for run in (together, lost):
        assert run["members"] == 2, found
        assert run["shared"], found
        assert run["steps"] > 10
    assert lost["lost"]
    assert not together["lost"]
    assert list(found["spark"]["names"]) == ["mc2: look for enclaves"]


@pytest.mark.slow
def test_executors_train_stock_xgboost_together(standalone: Standalone) -> None:
    found = standalone.start("spark_collective", "train")
    alone, together, stock = found["alone"], found["together"], found["stock"]
    assert alone["steps"] == 0
    assert together["members"] == 2, found
    assert together["steps"] > 10, found
    for losses in (alone["losses"], together["losses"]):
        assert losses == pytest.approx(stock, rel=0.01), found
