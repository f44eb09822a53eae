"""A collaboration, by one worker; or by three that share each job, however small."""

from __future__ import annotations

import pytest
from tests.support.world import world as make_world

from mc2.client.seal import SealOptions
from mc2.plan.stages import Layout, layout_of

PARTITIONS = 3


def share_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have enclaves in this process cut every plan, down to single rows."""

    def small(sizes, partitions, *_) -> Layout:
        return layout_of(sizes, partitions, 0, 0)

    monkeypatch.setattr("mc2.enclave.spread.choose_layout", lambda s, *_: small(s, PARTITIONS))
    monkeypatch.setattr("mc2.enclave.spread.layout_of", small)


@pytest.fixture
def workers(request, monkeypatch):
    """How many workers share each job: one, or as many as the test's parameter says."""
    count = getattr(request, "param", 1)
    if count > 1:
        share_everything(monkeypatch)
    return count


@pytest.fixture
def world(tmp_path, workers):
    """Three parties that have agreed, two of them with data."""
    with make_world(tmp_path, workers_per_job=workers) as found:
        found.agree()
        found.bring(SealOptions(rows_per_chunk=2) if workers > 1 else None)
        yield found
