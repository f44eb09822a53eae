"""The compiled kernels (C++20, `native/`): the one door to them.

Every kernel's sequence of instructions and memory addresses depends on lengths alone. Only
`mc2.operators` and `mc2.ml` may import this. Written by `tools/native_init.py`.
"""

from mc2._native.kernels import (
    equal,
    isa,
    isa_supported,
    less,
    merge,
    merge_rows,
    poison,
    poison_reports,
    select,
    set_serial_below,
    set_threads,
    sort,
    sort_rows,
    threads,
    top,
    under_valgrind,
    unpoison,
    use_isa,
)

__all__ = [
    "equal",
    "isa",
    "isa_supported",
    "less",
    "merge",
    "merge_rows",
    "poison",
    "poison_reports",
    "select",
    "set_serial_below",
    "set_threads",
    "sort",
    "sort_rows",
    "threads",
    "top",
    "under_valgrind",
    "unpoison",
    "use_isa",
]
