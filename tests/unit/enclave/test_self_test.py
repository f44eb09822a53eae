from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from tests.support.enclave_jobs import CODE, TestCollector

from mc2.enclave import computation
from mc2.enclave.self_test import self_test
from mc2.enclave.session import JobSession
from mc2.engine.outputs import ModelOutput
from mc2.errors import EngineError, Mc2Error, PlanError


def make_session(**changes: Any) -> JobSession:
    return JobSession(TestCollector(), changes.get("code", CODE), ("TEST",), "00" * 16)


def test_an_enclave_that_works_passes() -> None:
    sessions = []

    def make() -> JobSession:
        sessions.append(make_session())
        return sessions[-1]

    self_test(make)
    assert len(sessions) == 4  # one for each compression, and one in oblivious mode
    assert all(s.ended for s in sessions)


def test_an_engine_that_gives_too_little_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = computation.execute

    def short(*args: Any) -> Any:
        outputs = dict(real(*args))
        outputs["said"] = replace(outputs["said"], table=outputs["said"].table.slice(1))
        return outputs

    monkeypatch.setattr(computation, "execute", short)
    with pytest.raises(EngineError, match="another answer"):
        self_test(make_session)


@pytest.mark.parametrize("name", ["kept_line", "kept_trees"])
def test_an_engine_that_gives_a_kept_model_that_does_not_load_fails(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = computation.execute

    def other(*args: Any) -> Any:
        return {**real(*args), name: ModelOutput(b"{}")}

    monkeypatch.setattr(computation, "execute", other)
    with pytest.raises(EngineError, match="kept model"):
        self_test(make_session)


def test_an_engine_that_breaks_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise pa.ArrowInvalid("the library is damaged")

    monkeypatch.setattr(computation, "execute", broken)
    with pytest.raises(Mc2Error, match="ArrowInvalid"):
        self_test(make_session)


def test_an_enclave_without_code_identity_fails() -> None:
    with pytest.raises(PlanError, match="other packages"):
        self_test(lambda: make_session(code={}))
