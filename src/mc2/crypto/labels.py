"""Domain separation: every hash, key derivation and associated data starts with one of these.

A label is ASCII and unique; it ends where a zero byte stands, so no label is a prefix of another
input. Two uses of one key never share a label.
"""

from __future__ import annotations

from enum import Enum


class Label(bytes, Enum):
    """What a hash or a derived key is for."""

    SCHEMA = b"mc2/schema/v1"
    REPORT_DATA = b"mc2/report-data/v1"
    MEMBER_REPORT_DATA = b"mc2/member-report-data/v1"
    ADMISSION_INFO = b"mc2/admission/v1"
    GRANT_INFO = b"mc2/grant/v1"
    RESULT_INFO = b"mc2/result-key/v1"
    RESULT_SHARE = b"mc2/result-share/v1"
    DATASET_KEY = b"mc2/dataset-key/v1"
    CHUNK_KEY = b"mc2/chunk-key/v1"
    DRAWING_SHARE = b"mc2/drawing-share/v1"
    DRAWING_KEY = b"mc2/drawing-key/v1"
    KEY_COMMITMENT = b"mc2/key-commitment/v1"
    DATASET_CHUNK = b"mc2/dataset-chunk/v1"
    SEGMENT_KEY = b"mc2/segment-key/v1"
    RESULT_CHUNK = b"mc2/result-chunk/v1"
    BLOCK_KEY = b"mc2/block-key/v1"
    BLOCK = b"mc2/block/v1"
    TRAINING_KEY = b"mc2/training-key/v1"
    TRAINING_MESSAGE = b"mc2/training-message/v1"
    TRAINING_LOG = b"mc2/training-log/v1"
    IDENTITY = b"mc2/identity/v1"
    LEDGER = b"mc2/ledger/v1"
    CODE = b"mc2/code/v1"
    SIMULATED_REPORT = b"mc2/simulated-report/v1"
    SIMULATED_CODE = b"mc2/simulated-code/v1"
    ACTIVATION_KEY = b"mc2/activation-key/v1"
    ACTIVATION_TOKEN = b"mc2/activation-token/v1"
    ACTIVATION_TOKEN_DIGEST = b"mc2/activation-token-digest/v1"
    MEASURED_CODE = b"mc2/measured-code/v1"
    MEASURED_PART = b"mc2/measured-part/v1"

    def prefix(self) -> bytes:
        """The label as it stands before the data it separates."""
        return self.value + b"\x00"
