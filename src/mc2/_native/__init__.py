"""The compiled kernels (C++20, `native/`): the one door to them.

Every kernel's sequence of instructions and memory addresses depends on lengths alone. Only
`mc2.operators` and `mc2.ml` may import this.
"""

from mc2._native.kernels import equal, less, select

__all__ = ["equal", "less", "select"]
