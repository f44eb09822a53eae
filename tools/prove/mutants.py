"""Planted leaks, and which gates must catch them: a gate that catches nothing proves nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tools.prove import lint, memcheck, traces
from tools.prove.allowed import reason_for
from tools.prove.binaries import Binaries

CONTROL = "control"
GATES = ("memcheck", "trace", "lint")
TRACED = ("random", "equal", "sorted", "skewed")

# The kernels of native/verify/leaky, and the gates that are meant to catch each. Others may.
MUST_CATCH: dict[str, frozenset[str]] = {
    "branch": frozenset({"memcheck", "trace"}),
    "rare_branch": frozenset({"memcheck", "trace"}),
    "unseen_branch": frozenset({"lint"}),
    "short_circuit": frozenset({"memcheck", "trace"}),
    "ternary": frozenset({"memcheck"}),
    "loop": frozenset({"memcheck", "trace"}),
    "early_exit": frozenset({"memcheck", "trace"}),
    "table": frozenset({"memcheck", "trace"}),
    "gather": frozenset({"memcheck", "trace"}),
    "masked_store": frozenset({"memcheck", "trace"}),
    "size": frozenset({"memcheck", "trace"}),
    "append": frozenset({"memcheck", "trace"}),
    "library_sort": frozenset({"memcheck", "trace"}),
    "library_compare": frozenset({"memcheck", "lint"}),
    "library_exp": frozenset({"memcheck", "lint"}),
    "division": frozenset({"lint"}),
    "dispatch": frozenset({"memcheck", "trace"}),
    "pointer": frozenset({"memcheck", "trace"}),
    "lanes": frozenset({"memcheck", "trace"}),
    "bit_deposit": frozenset(),
    "packed_bits": frozenset({"memcheck", "trace"}),
    "few_matches": frozenset({"memcheck", "trace"}),
    "few_place": frozenset({"memcheck", "trace"}),
    "read_number": frozenset({"memcheck", "trace"}),
    "spell_number": frozenset({"memcheck", "trace"}),
    "wide_division": frozenset({"memcheck", "lint"}),
    "normalise": frozenset({"memcheck", "trace"}),
    "library_search": frozenset({"memcheck", "lint"}),
    "cut_text": frozenset({"memcheck", "trace"}),
    "skip_ascii": frozenset({"memcheck", "trace"}),
    "utf8_table": frozenset({"memcheck", "trace"}),
    "library_pow": frozenset({"memcheck", "lint"}),
    "real_branch": frozenset({"memcheck", "lint"}),
    "real_division": frozenset({"lint"}),
    "prefetch": frozenset({"lint"}),
}
# What is another thing in each instruction set.
ALSO = {
    ("avx2", "gather"): {"lint"},
    ("avx2", "masked_store"): {"lint"},
    ("avx2", "lanes"): {"lint"},
    ("avx2", "bit_deposit"): {"lint"},
    ("portable", "bit_deposit"): {"memcheck", "trace"},
}


def must_catch(isa: str, mutant: str) -> frozenset[str]:
    """The gates that are meant to catch a planted leak."""
    return MUST_CATCH[mutant] | ALSO.get((isa, mutant), set())


def caught(binaries: Binaries, isa: str, data: Sequence[str] = TRACED) -> dict[str, set[str]]:
    """For the control and each planted leak, the gates that catch it."""
    found: dict[str, set[str]] = {name: set() for name in (CONTROL, *MUST_CATCH)}
    for name in memcheck.watch(binaries.leaky, isa).leaking:
        found[name.removeprefix("leaky.")].add("memcheck")
    of_data = {kind: traces.trace(binaries.leaky, binaries.trace_hash, isa, kind) for kind in data}
    for name in traces.differing(of_data):
        found[name.removeprefix("leaky.")].add("trace")
    for finding in _lint(binaries, isa):
        if finding.function in found:
            found[finding.function].add("lint")
    return found


def _lint(binaries: Binaries, isa: str) -> list[lint.Finding]:
    path = binaries.objects(isa, "leaky")["leaky"]
    seen = lint.executed(binaries.leaky, isa)
    both = [*lint.findings(isa, "leaky", path), *lint.unseen_jumps(binaries.leaky, isa, seen)]
    return [finding for finding in both if reason_for(finding) is None]
