"""Authenticated encryption, hybrid public-key encryption, signatures and digests.

Together with `mc2.attestation` the only importer of `cryptography`.
"""
