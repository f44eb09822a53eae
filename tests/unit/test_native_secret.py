"""What the types of secrets do, and what they refuse to compile; threads of the pool and fork."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.support.kernels import UNSIGNED

from mc2 import _native

NATIVE = Path(__file__).resolve().parents[2] / "native"
COMPILE = ["g++", "-std=c++20", "-Wall", "-Wextra", "-Werror", f"-I{NATIVE}/include"]
AROUND = '#include "mc2/secret.hpp"\nusing namespace mc2::oblivious;\nint f(Secret<i64> x, Secret<i64> y, Mask m, const int* table) {{ {} }}\n'

FORBIDDEN = {
    "if": "if (x) return 1; return 0;",
    "if on a comparison": "if (x < y) return 1; return 0;",
    "ternary": "return m ? 1 : 0;",
    "and": "return m && m;",
    "not": "return !m;",
    "loop bound": "int n = 0; for (int i = 0; Secret<i64>(i) < x; ++i) ++n; return n;",
    "index": "return table[x];",
    "switch": "switch (x) { default: return 0; }",
    "division": "auto z = x / y; return sizeof z;",
    "remainder": "auto z = x % y; return sizeof z;",
    "secret shift": "auto z = x << y; return sizeof z;",
    "conversion": "i64 z = x; return z != 0;",
    "declassify without a reason": "return declassify(x) != 0;",
}


def compiles(body):
    done = subprocess.run(
        [*COMPILE, "-Wno-unused-parameter", "-fsyntax-only", "-x", "c++", "-"],
        check=False,
        input=AROUND.format(body),
        text=True,
        capture_output=True,
    )
    return done.returncode == 0, done.stderr


def test_the_control_compiles():
    worked, why = compiles(
        'return declassify(select(m | (x < y), x, y), "a test") != 0 ? table[0] : 0;'
    )
    assert worked, why


@pytest.mark.parametrize("body", FORBIDDEN.values(), ids=FORBIDDEN.keys())
def test_a_secret_cannot_decide_anything(body):
    worked, _ = compiles(body)
    assert not worked


@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_secret_arithmetic_agrees_with_plain_arithmetic(level, tmp_path):
    program = tmp_path / "secret"
    subprocess.run(
        [*COMPILE, level, str(NATIVE / "tests/secret.cpp"), "-o", str(program)], check=True
    )
    done = subprocess.run([str(program)], check=False, text=True, capture_output=True)
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_callers_on_many_threads_do_not_disturb_each_other():
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, 2**64, 20_000, dtype=np.uint64) for _ in range(8)]
    expected = [np.sort(column) for column in columns]
    _native.set_threads(2)
    _native.set_serial_below(0)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda column: _native.sort([column], [UNSIGNED]), columns))
    finally:
        _native.set_threads(1)
        _native.set_serial_below(1 << 18)
    assert all((a == b).all() for a, b in zip(columns, expected, strict=True))


def test_a_child_of_fork_makes_threads_of_its_own():
    script = """
import os, sys
import numpy as np
from mc2 import _native
def check():
    keys = np.arange(20000, dtype=np.uint64)[::-1].copy()
    _native.sort([keys], [1 << 63])
    return (keys == np.arange(20000)).all()
_native.set_threads(2)
_native.set_serial_below(0)
assert check()
child = os.fork()
if child == 0:
    os._exit(0 if check() else 1)
assert check()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_environment_chooses_the_instruction_set():
    script = "import mc2._native as n; print(n.isa(), n.threads())"
    for isa, expected in [
        ("portable", "portable 3"),
        ("", f"{'avx2' if _native.isa_supported('avx2') else 'portable'} 3"),
    ]:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={"MC2_ISA": isa, "MC2_THREADS": "3"},
            check=True,
            text=True,
            capture_output=True,
        )
        assert done.stdout.strip() == expected
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"MC2_ISA": "sse9"},
        check=False,
        text=True,
        capture_output=True,
    )
    assert done.returncode != 0
    assert "sse9" in done.stderr
