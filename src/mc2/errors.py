"""Every error that mc2 raises on purpose, in one tree.

::

    Mc2Error                  exit  the next step stands in `hint`
    ├── UsageError              2   the caller asked for something that makes no sense
    ├── FormatError             3   the bytes are not what the format's page allows
    ├── SignatureError          4   a signature is missing, false or by the wrong key
    ├── CryptoError             5   a ciphertext does not open: altered, swapped or another key
    ├── ContractError           6   the collaboration's rules forbid it
    ├── ApprovalError           7   an owner's approval is missing, or is for something else
    ├── AttestationError        8   the enclave could not prove itself, or the policy says no
    │   ├── EvidenceError           the evidence is not genuine
    │   └── AppraisalError          genuine, and not acceptable to the signed policy
    ├── GrantError              9   a key grant is missing, repeated or for something else
    ├── DatasetError           10   a sealed table is damaged, incomplete, stale or swapped
    ├── PolicyError            11   an owner's usage policy forbids it
    ├── PlanError              12   the script or query cannot be planned or is not well typed
    ├── EngineError            13   a correct plan failed on the data (overflow, memory, ...)
    ├── ReceiptError           14   the receipt or result does not prove the job
    ├── JobError               15   the job is in a state that does not allow this
    ├── CoordinatorError       16   the coordinator refused, lied or is away; never fatal to secrets
    ├── WorkerError            17   an enclave worker died or broke its protocol
    ├── LedgerError            18   the local record of grants is damaged or contradicts this
    └── ConfinementError       19   the process could not give up its privileges

The exit codes are those of the command line; they are stable, and documented in
`docs/reference/exit-codes.md`. Messages never quote data values, keys or plaintext.
"""

from __future__ import annotations


class Mc2Error(Exception):
    """Base of all. `hint` is one sentence that says what to do next; the CLI prints it."""

    exit_code = 1
    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(Mc2Error):
    """The caller asked for something that makes no sense."""

    exit_code, code = 2, "usage"


class FormatError(Mc2Error):
    """The bytes are not what the format's page allows, or not in their one encoding."""

    exit_code, code = 3, "format"


class SignatureError(Mc2Error):
    """A signature is missing, false, superfluous or by the wrong key."""

    exit_code, code = 4, "signature"


class CryptoError(Mc2Error):
    """A ciphertext does not open: it was altered or swapped, or this is not its key."""

    exit_code, code = 5, "crypto"


class ContractError(Mc2Error):
    """The signed rules of the collaboration forbid it."""

    exit_code, code = 6, "contract"


class ApprovalError(Mc2Error):
    """An approval is missing, has lapsed, or approves something else."""

    exit_code, code = 7, "approval"


class AttestationError(Mc2Error):
    """The enclave could not prove which code it runs, or the policy says no."""

    exit_code, code = 8, "attestation"


class EvidenceError(AttestationError):
    """The evidence is not genuine: a signature, certificate or field of it is false."""

    code = "evidence"


class AppraisalError(AttestationError):
    """The evidence is genuine, but the signed policy does not accept what it says.

    `failures` lists every rule that failed, not only the first.
    """

    code = "appraisal"

    def __init__(self, message: str, *, failures: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.failures = failures


class GrantError(Mc2Error):
    """A key grant is missing, repeated, or for another job, attempt, plan or key."""

    exit_code, code = 9, "grant"


class DatasetError(Mc2Error):
    """A sealed table is damaged, incomplete, out of date or not the one that was named."""

    exit_code, code = 10, "dataset"


class PolicyError(Mc2Error):
    """An owner's usage policy forbids this use of the owner's data."""

    exit_code, code = 11, "policy"


class PlanError(Mc2Error):
    """The script or query cannot be planned, or the plan is not well typed.

    `line` and `column` count from 1 in the text that was being read; 0 where none applies.
    """

    exit_code, code = 12, "plan"

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str = "") -> None:
        where = f"line {line}, column {column}: " if line else ""
        super().__init__(where + message, hint=hint)
        self.line = line
        self.column = column


class EngineError(Mc2Error):
    """A well-formed plan failed on the data: an overflow, a cast, the memory limit."""

    exit_code, code = 13, "engine"


class ReceiptError(Mc2Error):
    """The receipt or the result does not prove that this job ran as it was signed."""

    exit_code, code = 14, "receipt"


class JobError(Mc2Error):
    """The job is in a state that does not allow this."""

    exit_code, code = 15, "job"


class CoordinatorError(Mc2Error):
    """The coordinator refused, is away, or answered something that cannot be true."""

    exit_code, code = 16, "coordinator"


class WorkerError(Mc2Error):
    """An enclave worker died or broke the protocol."""

    exit_code, code = 17, "worker"


class LedgerError(Mc2Error):
    """The local record of grants is damaged, or says that this was done before."""

    exit_code, code = 18, "ledger"


class ConfinementError(Mc2Error):
    """The process could not give up its privileges, so it does not go on."""

    exit_code, code = 19, "confinement"


class DropoutError(Mc2Error):
    """A party whose rows stay at home dropped out, and the plan does not go on without it."""

    exit_code, code = 20, "dropout"


def error_types() -> dict[str, type[Mc2Error]]:
    """All error types by their wire code, so that a refusal crosses a process boundary typed.

    A subclass without a code of its own travels as its parent.
    """
    found: dict[str, type[Mc2Error]] = {}
    waiting: list[type[Mc2Error]] = [Mc2Error]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting.extend(kind.__subclasses__())
    return found
