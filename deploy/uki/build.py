#!/usr/bin/env python3
"""Builds a unified kernel image that boots straight into an mc2 worker, and says what it measures.

    python deploy/uki/build.py --wheel dist/mc2-*.whl --kernel-version 6.1.0-56-cloud-amd64 \
        --chain tpm-chain.pem --out mc2.efi

The packages are those of the Python that runs this. Equal inputs give an equal image.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
from cpio import write_cpio
from pe import PeError, add_sections
from tree import TreeError, lay_out

from mc2.attestation.tpm.uki import predict_uki
from mc2.errors import Mc2Error

STUB = Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
COMMAND_LINE = "console=ttyS0 quiet panic=-1 lockdown=confidentiality"
OS_RELEASE = b'ID=mc2\nNAME="mc2 enclave"\n'
WORKER = ("--tee", "tpm", "--tpm", "/dev/tpmrm0", "--tpm-chain", "/etc/mc2/chain.pem")
COMPRESSION_LEVEL = 9


def build(options: argparse.Namespace) -> bytes:
    """The image's bytes."""
    kernel = Path("/boot", f"vmlinuz-{options.kernel_version}")
    with tempfile.TemporaryDirectory(prefix="mc2-uki-") as folder:
        tree = Path(folder)
        lay_out(
            tree,
            wheel=options.wheel,
            modules=Path("/lib/modules", options.kernel_version),
            guest={
                "address": options.address,
                "mask": options.mask,
                "arguments": [*WORKER, "--listen", options.listen],
            },
            files={"etc/mc2/chain.pem": options.chain.read_bytes()},
        )
        archive = write_cpio(tree)
    codec = pa.Codec("zstd", compression_level=COMPRESSION_LEVEL)
    sections = (
        (".osrel", OS_RELEASE),
        (".cmdline", options.command_line.encode("ascii")),
        (".linux", kernel.read_bytes()),
        (".initrd", codec.compress(archive, asbytes=True)),
    )
    return add_sections(options.stub.read_bytes(), sections)


def main() -> int:
    """Build, predict, write; the exit code."""
    options = _parser().parse_args()
    try:
        image = build(options)
        found = predict_uki(image)
    except (TreeError, PeError, Mc2Error, OSError) as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    options.out.write_bytes(image)
    print(f"{options.out}: {len(image)} bytes, PE SHA-256 {found.image.hex()}")
    for number, value in found.pcrs.items():
        print(f"PCR {number}: {value.hex()}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--wheel", type=Path, required=True, help="mc2, built from a commit")
    parser.add_argument("--kernel-version", required=True, help="as in /boot/vmlinuz-…")
    parser.add_argument("--chain", type=Path, required=True, help="authorities of the TPM, PEM")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--stub", type=Path, default=STUB, help="systemd's, 252 or newer")
    parser.add_argument("--command-line", default=COMMAND_LINE)
    parser.add_argument("--listen", default="tcp:0.0.0.0:5000", help="where the worker listens")
    parser.add_argument("--address", default="10.0.2.15", help="of the guest; empty for no network")
    parser.add_argument("--mask", default="255.255.255.0")
    return parser


if __name__ == "__main__":
    sys.exit(main())
