"""TCB versions: which byte of the eight is the version of which firmware.

Turin moved the bytes. The line is that of the verified root, never guessed from CPUID: version 2
reports have none, and one line can span several models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TCB_BYTES: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TcbLayout:
    """One line's TCB version: the certificate extension of each byte, and the bytes with names.

    `structure` is what the certificate calls this layout. The extensions are numbered below
    1.3.6.1.4.1.3704.1.3; bytes without a name are reserved, and both sides must agree on them.
    """

    structure: int
    extensions: tuple[int, ...]
    names: tuple[tuple[str, int], ...]

    def decode(self, raw: bytes) -> dict[str, int]:
        """The version of each firmware by name: bl, tee, snp, ucode, and fmc on Turin."""
        return {name: raw[at] for name, at in self.names}


_FIRST: Final = TcbLayout(
    structure=0,
    extensions=(1, 2, 4, 5, 6, 7, 3, 8),
    names=(("bl", 0), ("tee", 1), ("snp", 6), ("ucode", 7)),
)
_TURIN: Final = TcbLayout(
    structure=1,
    extensions=(9, 1, 2, 3, 5, 6, 7, 8),
    names=(("fmc", 0), ("bl", 1), ("tee", 2), ("snp", 3), ("ucode", 7)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductLine:
    """A line of processors that share a root: its TCB layout, and the length of a chip's id."""

    name: str
    tcb: TcbLayout
    hardware_id_bytes: int


PRODUCT_LINES: Final = {
    line.name: line
    for line in (
        ProductLine(name="Milan", tcb=_FIRST, hardware_id_bytes=64),
        ProductLine(name="Genoa", tcb=_FIRST, hardware_id_bytes=64),
        ProductLine(name="Turin", tcb=_TURIN, hardware_id_bytes=8),
    )
}
