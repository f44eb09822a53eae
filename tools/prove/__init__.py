"""Proves on the compiled kernels that they are oblivious: docs/howto/prove-obliviousness.md."""
