"""Oblivious relational operators over secret columns, on the native kernels."""
