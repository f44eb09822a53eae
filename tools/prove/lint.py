"""Gate 3: what stands in the compiled kernels.

Every instruction must be of a kind that is known to take the same time, and touch the same memory,
whatever its operands hold. Everything else is a finding: dividers, gathers, masked moves, verdicts
of vector comparisons in flags, string instructions, calls of anything but a few functions, and what
this list does not know. And every conditional jump must have been executed by some case: memcheck
has then seen its flags, and they depend on no secret. What is allowed all the same stands in
`allowed.py`, function by function, with the reason.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

# The first that matches says what kind an instruction is. "steady" ones are fine anywhere.
_KINDS = [
    ("division", r"i?div[bwlq]?"),
    ("real division", r"v?(div|sqrt|rcp|rsqrt)[sp][sd]"),
    ("x87", r"f(?!ence)\w+"),
    ("gather or scatter", r"vp?(gather|scatter)\w+"),
    ("masked move", r"v?p?maskmov\w+|vp?(compress|expand)\w+"),
    ("verdict of vectors", r"v?ptest|vtestp[sd]|v?u?comis[sd]"),
    ("lanes to a register", r"v?p?movmsk\w+"),
    ("bit deposit", r"pext|pdep"),
    ("prefetch", r"prefetch\w+"),  # valgrind does nothing there, so no other gate sees the address
    ("real arithmetic", r"v?(add|sub|mul|min|max|hadd|round)[sp][sd]|v?cvt\w+|vfn?m(add|sub)\w+"),
    ("steady", r"""
        (add|sub|adc|sbb|and|or|xor|not|neg|inc|dec|i?mul|cmp|test|xchg|shl|shr|sar|rol|ror)[bwlq]?
        |andn|mulx|adcx|adox|sh[lr]d|(sa|sh|ro)[lr]x|bswap|bt[src]?[wlq]?|[tl]zcnt|popcnt|bls(i|r|msk)
        |mov([bwlq]|abs|[sz][bwl][wlq])?|lea|push|pop|leave|ret[q]?|nop[wl]?|endbr64|cs|data16
        |lock|cqto|cltq|cltd|cwtl|set\w+|cmov\w+
        |v?mov(a|u|h|l|hl|lh|dq[au]|nt|d|q|s|dd|shd|sld|[ahlu]p)*[sdq]*
        |v?p(add|sub|and|andn|or|xor|cmpeq|cmpgt|max|min|mul|madd|s[lr]l|sra|shuf|unpck|ack|blend
             |broadcast|insr|extr|align|sign|abs|avg|hadd|sad|mov[sz]x|erm)\w*
        |v?(and|andn|or|xor)p[sd]|v?(unpck|shuf|blend|perm|insert|extract|broadcast)\w+
        |v?cmp\w*[sp][sd]|vzero(upper|all)
    """),
]  # fmt: skip
_RULES = [(kind, re.compile(f"(?:{pattern})$", re.VERBOSE)) for kind, pattern in _KINDS]
_FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
_INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\t(\S+)\s*(.*)$")
_RELOCATION = re.compile(r"^\s+[0-9a-f]+: (R_\S+)\s+(.*?)([-+]0x[0-9a-f]+)?$")
_JUMP = re.compile(r"j(?!mp)\w+$")
_SETS_FLAGS = re.compile(
    r"(add|sub|adc|sbb|and|or|xor|neg|inc|dec|cmp|test|shl|shr|sar|bt)[bwlq]?$|v?ptest|v?u?comis"
)

# Their arguments are addresses and sizes, which are public; none looks at what lies there. That
# sizes are public is for memcheck to see.
_CALLS = re.compile(
    r"memset|memcpy|memmove"
    r"|mc2::oblivious::(Scratch::~?Scratch|run_parts|parts_for|(scan_)?share_of|threads|serial_below)\b.*"
    r"|mc2::oblivious::kernels::\w+\(\)"
    r"|_Unwind_Resume|__stack_chk_fail"
)


@dataclass(frozen=True, order=True)
class Finding:
    """Something in a function that is not known to be harmless, and how often it is there."""

    isa: str
    family: str
    function: str
    kind: str
    detail: str
    count: int = 1


@dataclass
class Function:
    """A function of an object file or program: instructions as (address, mnemonic, operands)."""

    name: str
    instructions: list[tuple[int, str, str]]
    targets: list[str]


def disassemble(path: Path) -> list[Function]:
    """All functions of an object file or program."""
    text = subprocess.run(
        ["objdump", "-drC", "--no-show-raw-insn", path], check=True, capture_output=True, text=True
    ).stdout
    found: list[Function] = []
    for line in text.splitlines():
        if name := _FUNCTION.match(line):
            found.append(Function(name[1], [], []))
        elif one := _INSTRUCTION.match(line):
            found[-1].instructions.append((int(one[1], 16), one[2], one[3]))
        elif (moved := _RELOCATION.match(line)) and found[-1].instructions[-1][1] in {
            "call",
            "jmp",
        }:
            found[-1].targets.append(moved[2])
    return found


def kind_of(mnemonic: str, operands: str) -> str:
    """What kind of instruction this is; "unknown" if no rule says."""
    if mnemonic in {"call", "jmp", "notrack"}:
        return "indirect jump" if operands.lstrip("jmp cal").startswith("*") else "steady"
    if _JUMP.match(mnemonic):
        return "steady"  # judged by whether it was executed
    if mnemonic.startswith("rep") or "%es:(%rdi)" in operands:
        # Fills and copies: memcheck sees their length. Comparisons stop where bytes differ.
        return "steady" if re.search(r"\b(ret|stos|movs)", f"{mnemonic} {operands}") else "string"
    return next((kind for kind, rule in _RULES if rule.match(mnemonic)), "unknown")


def findings(isa: str, family: str, path: Path) -> list[Finding]:
    """What in an object file is not of a steady kind, and which calls leave it."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for function in disassemble(path):
        for place, (_, mnemonic, operands) in enumerate(function.instructions):
            kind = kind_of(mnemonic, operands)
            if kind == "verdict of vectors" and not _decides(function, place):
                continue  # the verdict becomes a number
            if kind != "steady":
                seen[short(function.name), kind, mnemonic] += 1
        for target in function.targets:
            if not _own(target) and not _CALLS.fullmatch(target):
                seen[short(function.name), "call", target] += 1
    return sorted(Finding(isa, family, *what, count) for what, count in seen.items())


def _decides(function: Function, place: int) -> bool:
    """Whether a conditional jump may read the flags that an instruction sets."""
    for _, mnemonic, _ in function.instructions[place + 1 :]:
        if _JUMP.match(mnemonic):
            return True
        if _SETS_FLAGS.match(mnemonic) or mnemonic in {"jmp", "ret", "call"}:
            return False
    return False


def _own(target: str) -> bool:
    """A jump within the same file: of its sections, or its local functions."""
    return target.startswith(".text") or "(anonymous namespace)::" in target


def short(name: str) -> str:
    """A function's name without its namespaces and arguments."""
    bare = re.sub(r"mc2::oblivious::(\w+::)?(\(anonymous namespace\)::)?", "", name)
    return bare if "{lambda" in bare else re.sub(r"\(.*$", "", bare) or bare


def executed(program: Path, isa: str, threads: int = 1) -> set[int]:
    """The addresses of all instructions of a program that some case executes: by callgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        words = [str(program), "all", isa, *([str(threads)] if threads > 1 else [])]
        done = subprocess.run(
            [
                "valgrind", "--quiet", "--tool=callgrind", "--dump-instr=yes", "--dump-line=no",
                "--compress-pos=no", "--compress-strings=no", f"--callgrind-out-file={out}", *words,
            ],
            check=False, capture_output=True,
        )  # fmt: skip
        found, mine = set(), False
        for line in out.read_text().splitlines():
            if line.startswith("ob="):
                mine = line == f"ob={program.resolve()}"
            elif mine and line.startswith("0x"):
                found.add(int(line.split(" ", 1)[0], 16))
    if done.returncode or not found:
        raise RuntimeError(f"callgrind did not see {program.name} run to its end")
    return found


def unseen_jumps(program: Path, isa: str, seen: set[int]) -> list[Finding]:
    """The conditional jumps of the kernels that no case has executed."""
    count: Counter[str] = Counter()
    for function in disassemble(program):
        if f"mc2::oblivious::{isa}::" in function.name:
            count[short(function.name)] += sum(
                _JUMP.match(mnemonic) is not None and address not in seen
                for address, mnemonic, _ in function.instructions
            )
    family = "leaky" if program.name == "mc2-leaky-cases" else ""
    return sorted(
        Finding(isa, family, name, "unseen jump", "", n) for name, n in count.items() if n
    )


def jumps(program: Path, isa: str) -> int:
    """How many conditional jumps the kernels have."""
    return sum(
        _JUMP.match(mnemonic) is not None
        for function in disassemble(program)
        if f"mc2::oblivious::{isa}::" in function.name
        for _, mnemonic, _ in function.instructions
    )
