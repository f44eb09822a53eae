"""Every object that crosses a trust boundary: bytes to frozen values and back. No I/O.

Each module has one page under `docs/spec/`. The pattern is always the same: `encode()` gives the
one encoding, `parse()` takes bytes that may come from anybody and raises `FormatError` for all
else, and a `Verified…` value exists only after the function that checked the signatures.
"""
