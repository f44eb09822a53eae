"""What a worker may be asked to prove itself by. Light: the command line reads it for its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

AUTO: Final = "auto"
"""The strongest hardware there is that keeps the host out of memory."""

TPM: Final = "tpm"
TEES: Final = (AUTO, "sgx", "sev-snp", "tdx", "nitro", TPM)
"""By name, the stronger tiers first. The simulation is not among them."""

TPM_DEVICE: Final = Path("/dev/tpmrm0")
TPM_CODE_LOG: Final = Path("/run/mc2/tpm-code-log.json")
"""Where workers log what they measured: in a folder that is emptied when the machine restarts."""


@dataclass(frozen=True, slots=True)
class TpmSource:
    """Where a TPM is (a device, or a software TPM's socket), and who certified it.

    `chain` are the authorities above its endorsement certificate, PEM, root last. `code_log` is
    the file in which workers log what they measured, one for all workers of the machine;
    `chain_file` is where the chain was read.
    """

    path: Path
    chain: bytes
    code_log: Path
    chain_file: Path
