"""The gates over every kernel, on the very objects that the Python module is made of."""

import re

import pytest
from tools.prove import binaries, lint, memcheck, report, shipped, traces
from tools.prove.allowed import ALLOWED, MOST_UNSEEN, reason_for

ISAS = [isa for isa in binaries.ISAS if binaries.here(isa)]
SOME_DATA = ("random", "equal", "sorted", "skewed")
MOST_ROWS = 64


def test_the_module_is_made_of_the_examined_code(built):
    objects = [path for isa in built.isas for path in built.objects(isa).values()]
    assert shipped.missing_code(objects, report.module_path()) == [], "run: make setup"


def test_code_that_is_not_in_the_module_is_noticed(built):
    leaky = built.objects("portable", "leaky")["leaky"]
    assert shipped.missing_code([leaky], report.module_path())


@pytest.mark.parametrize(
    ("isa", "threads"),
    [(isa, 1) for isa in ISAS]
    + [pytest.param(isa, 2, marks=() if isa == ISAS[-1] else pytest.mark.slow) for isa in ISAS],
)
def test_memcheck_sees_no_use_of_a_secret(built, isa, threads):
    watched = memcheck.watch(built.cases, isa, threads)
    assert watched.leaking == ()
    assert watched.runs >= 2000


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("isa", ISAS)
def test_traces_do_not_depend_on_data(built, isa):
    of_data = {
        data: traces.trace(built.cases, built.trace_hash, isa, data, MOST_ROWS)
        for data in SOME_DATA
    }
    assert traces.differing(of_data) == []
    named = {name.partition(".")[0] for name, _ in of_data["random"]}
    assert named == set(binaries.families()), "every family has cases"


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_is_steady_or_allowed(built, isa):
    found = [
        finding
        for family, path in built.objects(isa).items()
        for finding in lint.findings(isa, family, path)
    ]
    assert [finding for finding in found if reason_for(finding) is None] == []


@pytest.mark.parametrize(
    "isa", [pytest.param(isa, marks=() if isa == ISAS[-1] else pytest.mark.slow) for isa in ISAS]
)
def test_memcheck_has_seen_most_conditional_jumps(built, isa):
    seen = lint.executed(built.cases, isa) | lint.executed(built.cases, isa, threads=2)
    unseen = lint.unseen_jumps(built.cases, isa, seen)
    assert all(reason_for(finding) for finding in unseen)
    assert sum(f.count for f in unseen) <= MOST_UNSEEN * lint.jumps(built.cases, isa)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("isa", ISAS)
def test_traces_of_every_size_do_not_depend_on_data(built, isa):
    of_data = {
        data: traces.trace(built.cases, built.trace_hash, isa, data) for data in binaries.DATA
    }
    assert traces.differing(of_data) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("isa", ISAS)
def test_traces_of_work_cut_for_two_threads_do_not_depend_on_data(built, isa):
    of_data = {
        data: traces.trace(built.cases, built.trace_hash, isa, data, 300, 2) for data in SOME_DATA
    }
    assert traces.differing(of_data) == []
    whole = traces.trace(built.cases, built.trace_hash, isa, SOME_DATA[0], 300)
    accesses = [
        sum(lines for _, lines in found.values()) for found in (whole, of_data[SOME_DATA[0]])
    ]
    assert accesses[0] != accesses[1], "nothing was cut"


def test_what_is_allowed_has_a_reason_and_names_no_planted_leak():
    for one in ALLOWED:
        assert len(one.reason) > 20
        assert (
            one.kind == "indirect jump"
            or not re.fullmatch(one.family, "leaky")
            or (one.kind == "division" and not re.fullmatch(one.function, "division"))
        )


@pytest.mark.parametrize(
    ("mnemonic", "operands", "kind"),
    [
        ("add", "%rax,%rbx", "steady"),
        ("movsd", "%xmm0,(%rdi)", "steady"),
        ("movslq", "%eax,%rbx", "steady"),
        ("vpblendvb", "%ymm0,%ymm1,%ymm2,%ymm3", "steady"),
        ("je", "1f", "steady"),
        ("div", "%rcx", "division"),
        ("idivq", "(%rcx)", "division"),
        ("vdivpd", "%ymm0,%ymm1,%ymm2", "real division"),
        ("sqrtsd", "%xmm0,%xmm1", "real division"),
        ("vmulsd", "%xmm0,%xmm1,%xmm1", "real arithmetic"),
        ("vpgatherqq", "%ymm0,(%rax,%ymm1,8),%ymm2", "gather or scatter"),
        ("vpmaskmovq", "%ymm0,%ymm1,(%rax)", "masked move"),
        ("vptest", "%ymm0,%ymm0", "verdict of vectors"),
        ("ucomisd", "%xmm0,%xmm1", "verdict of vectors"),
        ("vpmovmskb", "%ymm0,%eax", "lanes to a register"),
        ("pdep", "%rax,%rbx,%rcx", "bit deposit"),
        ("repz", "cmpsb %es:(%rdi),%ds:(%rsi)", "string"),
        ("rep", "stos %rax,%es:(%rdi)", "steady"),
        ("repz", "ret", "steady"),
        ("jmp", "*%rax", "indirect jump"),
        ("fsin", "", "x87"),
        ("vpcompressq", "%zmm0,(%rax)", "masked move"),
        ("prefetcht0", "(%rdi,%rax,8)", "prefetch"),
        ("rdtsc", "", "unknown"),
        ("syscall", "", "unknown"),
    ],
)
def test_kinds_of_instructions(mnemonic, operands, kind):
    assert lint.kind_of(mnemonic, operands) == kind
