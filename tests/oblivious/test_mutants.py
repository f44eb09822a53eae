"""Planted leaks: each gate catches those that it is meant to catch, and lets the control pass."""

import pytest
from tools.prove import binaries, mutants

ISAS = [isa for isa in binaries.ISAS if binaries.here(isa)]


@pytest.mark.parametrize("isa", ISAS)
def test_every_planted_leak_is_caught(built, isa):
    caught = mutants.caught(built, isa)
    assert caught.pop(mutants.CONTROL) == set()
    missed = {name: mutants.must_catch(isa, name) - gates for name, gates in caught.items()}
    assert {name: gates for name, gates in missed.items() if gates} == {}


def test_every_gate_has_leaks_that_it_alone_must_catch_or_that_two_must():
    wanted = [mutants.MUST_CATCH[name] for name in mutants.MUST_CATCH]
    assert all(any(gate in gates for gates in wanted) for gate in mutants.GATES)
    assert {frozenset({"lint"})} <= set(wanted)
