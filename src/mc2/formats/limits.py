"""Ceilings on what strangers may send. They apply before anything is parsed.

Each has a unit and a reason, and no other home than this file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes unless the name says otherwise."""

    card_bytes: int = 16 * 1024  # two public keys (1.7 KiB in base64) and a name
    contract_bytes: int = 1024 * 1024  # some hundred members with their cards
    manifest_bytes: int = 32 * 1024 * 1024  # 300,000 chunks: 4 TiB at 16 MiB each
    plan_bytes: int = 8 * 1024 * 1024  # the script, and a few thousand nodes
    script_bytes: int = 256 * 1024  # what a person can still review
    note_bytes: int = 4 * 1024  # proposal notes, rejection reasons
    message_bytes: int = 64 * 1024  # proposal, approval, challenge
    grant_bytes: int = 1024 * 1024  # one sealed key (1.6 KiB) for each dataset of an owner
    evidence_bytes: int = 1024 * 1024  # quotes, certificates and event logs
    receipt_bytes: int = 32 * 1024 * 1024
    bundle_bytes: int = 128 * 1024 * 1024  # all signed objects of a job
    chunk_plain_bytes: int = 64 * 1024 * 1024  # a chunk is opened in one piece of memory
    chunk_rows: int = 1 << 20
    segments: int = 1024  # of a dataset that grows by appending; then it is sealed anew
    chunks: int = 1 << 18
    row_bound: int = 1 << 40
    columns: int = 4096
    members: int = 256
    inputs: int = 1024
    nodes: int = 16384
    outputs: int = 1024
    json_items: int = 4_000_000  # values and keys: each costs some hundred bytes of memory
    json_depth: int = 128  # canonical JSON nests no deeper
    attempts: int = 16
    cluster_members: int = 64  # enclaves that compute one job together
    epochs: int = 64  # how often an attempt may begin anew with other members
    challenge_seconds: int = 900  # within it all owners of a job ask, and get their answer
    block_bytes: int = 16 * 1024 * 1024  # above it sealing and sockets slow down
    task_bytes: int = 16 * 1024 * 1024  # an order or receipt of a task: 100,000 blocks
    task_attempts: int = 64  # of one task in one epoch
    task_blocks: int = 1 << 20  # that a task hands on
    frame_header_bytes: int = 64 * 1024  # worker socket: the canonical JSON before the body
    frame_body_bytes: int = 128 * 1024 * 1024

    @property
    def chunk_bytes(self) -> int:
        """A sealed chunk: its plaintext and the authentication tag."""
        return self.chunk_plain_bytes + 16


LIMITS = Limits()
