"""Results that stay sealed and are read by later jobs, over the whole of a collaboration."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from tests.support.world import ALONE_AND_SHARED, VISITS_A

from mc2.cli.datasets import command as datasets_command
from mc2.cli.demo.hostile import Lie
from mc2.cli.verify import job_facts
from mc2.client.data_key import own_share
from mc2.client.results import open_result
from mc2.errors import (
    DatasetError,
    GrantError,
    JobError,
    Mc2Error,
    PlanError,
    PolicyError,
    ReceiptError,
    UsageError,
)
from mc2.formats.bundle import JobBundle, Proof
from mc2.formats.canonical import decode, encode
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import UsagePolicy
from mc2.formats.result import Result

KEEP = """\
import mc2

job = mc2.Job("Keep the visits of both")
both = job.sql('''
    SELECT patient, site, glucose FROM ada.visits
    UNION ALL SELECT patient, site, glucose FROM bo.visits
''')
job.keep(both, name="both")
"""

USE = """\
import mc2

job = mc2.Job("What was kept, beside a table of Ada's")
means = job.sql('''
    SELECT b.site, count(*) AS n, max(v.ill) AS ill
    FROM kept.both AS b JOIN ada.visits AS v ON v.patient = b.patient
    GROUP BY b.site ORDER BY b.site
''')
job.release("means", means, to=["cy"])
"""

ALONE = """\
import mc2

job = mc2.Job("Count what was kept")
job.release("n", job.sql("SELECT count(*) AS n FROM {b}", b=job.kept("both")), to=["cy"])
"""


def edited(raw, edit):
    value = decode(raw, LIMITS.bundle_bytes, "test")
    edit(value)
    return encode(value)


def fails(world, job_id):
    with pytest.raises(Mc2Error) as caught:
        world.run(job_id)
    with pytest.raises(Mc2Error):
        world.cy.results(job_id)
    return caught.value


@ALONE_AND_SHARED
def test_a_kept_table_is_joined_in_a_later_job(world):
    kept = world.job(KEEP)
    job_id = world.propose(USE)
    review = world.ada.review(job_id).review
    (reading,) = [r for r in review.readings if r.dataset == "kept.both"]
    assert reading.owner == "ada, bo"
    assert kept in reading.policy[0]
    assert "all of ada, bo" in reading.policy[0]
    world.approve(job_id)
    world.run(job_id)
    assert world.cy.results(job_id)["means"].table.to_pylist() == [
        {"site": None, "n": 1, "ill": 0},
        {"site": "north", "n": 2, "ill": 1},
        {"site": "south", "n": 1, "ill": 0},
    ]
    proof = world.cy.verify_job(job_id)
    assert sorted(proof.receipt.value.inputs) == ["ada.visits", "kept.both"]


def test_the_commands_tell_what_is_kept_from_what_is_received(world, monkeypatch):
    job_id = world.job(KEEP)
    facts = job_facts(world.cy.verify_job(job_id))
    assert (facts["outputs"], facts["kept"]) == ({}, {"both": ["ada", "bo"]})
    monkeypatch.setattr("mc2.cli.datasets.open_party", lambda home: world.cy)
    said = CliRunner().invoke(datasets_command, ["--columns", "--json"])
    assert said.exit_code == 0, said.output
    (row,) = [r for r in json.loads(said.stdout) if r["dataset"] == "kept.both"]
    assert (row["version"], row["kept_by"], row["job_id"]) == ("kept", ["ada", "bo"], job_id)
    text = CliRunner().invoke(datasets_command, ["--columns"])
    assert text.exit_code == 0, text.output
    assert "kept.both is kept by ada, bo: all must approve its use" in text.output


def test_nobody_opens_what_is_kept(world):
    job_id = world.propose(KEEP)
    (leaving,) = world.bo.review(job_id).review.outputs
    assert (leaving.recipients, leaving.kept_by) == ((), ("ada", "bo"))
    world.approve(job_id)
    world.run(job_id)
    for party in world.parties.values():
        job = party.verify_job(job_id)
        with pytest.raises(UsageError, match="nothing of job"):
            party.results(job_id)
        with pytest.raises(UsageError, match="nobody can open it"):
            open_result(
                job,
                "both",
                recipient=party.name,
                key=party.identity.receiving,
                read_blob=party.coordinator.get_blob,
            )
    result = job.results["both"]
    assert sorted(result.keys) == ["ada", "bo"]
    # A share is neither the key nor the other's share, and Cy, who only analyses, has none.
    with own_share(world.ada.identity, result) as one, own_share(world.bo.identity, result) as two:
        assert one.raw != two.raw
        assert result.key_commitment not in {one.commitment(), two.commitment()}
    with pytest.raises(DatasetError, match="cy has no share"):
        own_share(world.cy.identity, result)
    swapped = replace(result, keys={"ada": result.keys["bo"], "bo": result.keys["ada"]})
    with pytest.raises(DatasetError, match="not sealed to this identity"):
        own_share(world.ada.identity, swapped)


def test_all_who_keep_it_must_approve_though_the_plan_reads_nothing_else(world):
    world.job(KEEP)
    job_id = world.propose(ALONE)
    assert world.cy.review(job_id).review.approvers == ("ada", "bo")
    world.approve(job_id, "ada")
    with pytest.raises(JobError):
        world.cy.coordinator.start(job_id)
    world.bo.reject(job_id, "not for this")
    with pytest.raises(JobError):
        world.run(job_id)
    with pytest.raises(Mc2Error):
        world.cy.results(job_id)


def test_an_older_kept_result_is_refused_once_a_newer_one_is_proved(world):
    world.job(KEEP)
    old = world.propose(ALONE)
    older = world.propose(ALONE)
    world.approve(older)
    world.ada.upload(VISITS_A.slice(0, 2), "visits")
    world.job(KEEP)
    with pytest.raises(DatasetError, match="the newest seen here"):
        world.ada.review(old)
    # Nor is it granted, for a job that was approved before the newer one was there.
    with pytest.raises(Mc2Error):
        world.run(older, seconds=3)
    with pytest.raises(Mc2Error):
        world.cy.results(older)
    table = world.cy.results(world.job(ALONE))["n"].table
    assert table.to_pylist() == [{"n": 5}]


def test_a_proof_that_is_withheld_stops_approvals(world):
    world.job(KEEP)
    job_id = world.propose(ALONE)

    def withheld(real, *args):
        raise JobError("there is no proof")

    world.mailboxes["bo"].lies["proof"] = withheld
    with pytest.raises(JobError):
        world.bo.review(job_id)
    world.mailboxes["bo"].lies["jobs"] = lambda real, *args: []
    with pytest.raises(DatasetError, match="not proved here"):
        world.bo.review(job_id)


def bundle_lie(edit):
    def lie(raw):
        return edited(raw, lambda value: edit(value["kept"]))

    return lie


def tampered(kept):
    kept["kept.both"]["kept"]["policy"]["recipients"] = ["cy"]


def missing(kept):
    del kept["kept.both"]


def emptied(kept):
    kept["kept.both"]["kept"] = None


def test_a_kept_result_that_is_not_the_plans_is_refused_by_owners(world):
    world.job(KEEP)
    job_id = world.propose(ALONE)
    for edit in (tampered, missing, emptied):
        lie = bundle_lie(edit)
        world.mailboxes["ada"].lies["job_bundle"] = lambda real, *a, lie=lie: lie(real(*a))
        with pytest.raises(Mc2Error) as caught:
            world.ada.review(job_id)
        assert caught.value.code in {"dataset", "format"}, edit


def test_a_kept_result_that_is_swapped_on_the_way_is_refused_by_the_enclave(world):
    world.job(KEEP)
    first = world.cy.verify_job(world.cy.status()[-1].job_id).results["both"]
    world.job(KEEP)
    job_id = world.propose(ALONE)
    world.approve(job_id)
    swapped = bundle_lie(lambda kept: kept.update({"kept.both": first.json()}))
    world.lie = Lie(bundle=swapped)
    assert isinstance(fails(world, job_id), DatasetError)


@ALONE_AND_SHARED
def test_altered_chunks_of_a_kept_result_are_refused(world):
    kept = world.job(KEEP)
    names = {c.digest for c in world.cy.verify_job(kept).results["both"].chunks}

    def lie(name, read):
        raw = read(name)
        return raw[:-1] + bytes([raw[-1] ^ 1]) if name in names else raw

    world.lie = Lie(chunk=lie)
    job_id = world.propose(ALONE)
    world.approve(job_id)
    assert isinstance(fails(world, job_id), DatasetError)


def test_the_strictest_policy_follows_what_is_kept(world):
    world.ada.upload(VISITS_A, "visits", policy=UsagePolicy(recipients=("bo",)))
    kept = world.job(KEEP)
    policy = world.cy.verify_job(kept).results["both"].kept.policy
    assert policy == UsagePolicy(recipients=("ada", "bo"))
    with pytest.raises(PolicyError, match="does not allow cy to receive n"):
        world.propose(ALONE)
    job_id = world.job(ALONE.replace('"cy"', '"bo"'))
    assert world.bo.results(job_id)["n"].table.to_pylist() == [{"n": 8}]
    # And on through a second time of keeping.
    again = ALONE.replace("job.release(", "job.keep(").replace('"n", job', "job")
    job_id = world.job(again.replace('to=["cy"]', 'name="count"'))
    result = world.cy.verify_job(job_id).results["count"]
    assert result.kept.policy == policy
    assert list(result.kept.origins) == ["kept.both"]
    assert sorted(result.keys) == ["ada", "bo"]


def test_a_proof_whose_kept_result_says_something_else_is_refused(world):
    raw = world.cy.coordinator.proof(world.job(KEEP))

    def other_share(kept):
        kept["shares"]["ada"] = "00" * 32

    def fewer_origins(kept):
        del kept["origins"]["ada.visits"]

    def other_policy(kept):
        kept["policy"]["recipients"] = []

    def other_bound(kept):
        kept["row_bound"] = 9

    for edit in (other_share, fewer_origins, other_policy, other_bound):
        changed = edited(raw, lambda proof, edit=edit: edit(proof["results"]["both"]["kept"]))
        with pytest.raises(ReceiptError, match="V6"):
            world.cy.verify(changed)


def test_scripts_that_keep_what_cannot_be_kept_are_refused(world):
    for script, said in (
        (KEEP.replace("job.keep(both, ", "job.keep(3, "), "cannot be kept"),
        (KEEP.replace('"Keep the visits of both"', '"x", mode="oblivious"'), "padded tables only"),
        (ALONE, "there is no dataset 'kept.both'"),
        (
            KEEP + "job.keep(job.sql('SELECT 1 AS a'), name='one')\n",
            "derives from no dataset",
        ),
    ):
        with pytest.raises(PlanError, match=said):
            world.propose(script)


def test_a_kept_result_belongs_to_its_contract(world):
    world.job(KEEP)
    world.agree(epoch=2, supersedes=world.contract.digest)
    with pytest.raises(PlanError, match="there is no dataset"):
        world.propose(ALONE)


def shares_of(world, job_id):
    proof = Proof.parse(world.cy.coordinator.proof(job_id))
    return Result.parse(proof.results["both"])


@ALONE_AND_SHARED
def test_a_grant_without_the_true_share_is_refused_and_names_who(world, monkeypatch):
    from mc2.client import release
    from mc2.crypto.secret import DataKey

    world.job(KEEP)
    job_id = world.propose(ALONE)
    world.approve(job_id)
    true = release.own_share

    def other(identity, result):
        return DataKey.generate() if identity.name == "bo" else true(identity, result)

    monkeypatch.setattr(release, "own_share", other)
    error = fails(world, job_id)
    assert isinstance(error, GrantError)
    assert "bo granted is not its share of kept.both" in str(error)


@ALONE_AND_SHARED
def test_a_bundle_names_kept_results_in_base64_of_the_shares_alone(world):
    """What the coordinator holds of a kept result never has the key: only sealed shares."""
    result = shares_of(world, world.job(KEEP))
    raw = result.encode()
    with own_share(world.ada.identity, result) as one, own_share(world.bo.identity, result) as two:
        key = bytes(a ^ b for a, b in zip(one.raw, two.raw, strict=True))
        for secret in (bytes(one.raw), bytes(two.raw), key):
            assert secret not in raw
            assert secret.hex().encode() not in raw
            assert base64.b64encode(secret) not in raw
    assert JobBundle.parse(world.cy.coordinator.job_bundle(result.context.job_id)).kept == {}
