"""What a new policy section begins with, by kind: proposals, and what only the members know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mc2.attestation.azure.defaults import AZURE_SNP_DEFAULTS, AZURE_TDX_DEFAULTS
from mc2.attestation.azure.policy import AzureSnpSection, AzureTdxSection
from mc2.attestation.claims import VerifiedClaims
from mc2.attestation.dcap.defaults import SGX_DEFAULTS, TDX_DEFAULTS
from mc2.attestation.dcap.policy import SgxSection, TdxSection
from mc2.attestation.defaults import Default, proposed
from mc2.attestation.nitro.defaults import NITRO_DEFAULTS
from mc2.attestation.nitro.policy import NitroSection
from mc2.attestation.policy import SECTION_TYPES, SimulatedSection
from mc2.attestation.section import PolicySection
from mc2.attestation.snp.defaults import SNP_DEFAULTS
from mc2.attestation.snp.policy import SnpSection
from mc2.attestation.tokens.defaults import CONFIDENTIAL_SPACE_DEFAULTS
from mc2.attestation.tokens.policy import ConfidentialSpaceSection
from mc2.attestation.tpm.defaults import TPM_DEFAULTS
from mc2.attestation.tpm.policy import TpmSection
from mc2.errors import UsageError
from mc2.formats.canonical import Json
from mc2.formats.fields import Fields

_DIGEST: Final = "sha256:" + "00" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnField:
    """A field that only the members can fill in. `example` is of the right form, and no more.

    `claim` is the measurement of evidence that it names, where there is one.
    """

    field: str
    meaning: str
    example: Json
    claim: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KindDefaults:
    """How to begin a section of one kind. `hardware` is the kind of a section within."""

    title: str
    defaults: tuple[Default, ...]
    own: tuple[OwnField, ...]
    hardware: str | None = None


def _measured(field: str, claim: str, meaning: str, size: int = 48) -> OwnField:
    return OwnField(field=field, meaning=meaning, example=["00" * size], claim=claim)


_PCRS: Final = OwnField(
    field="pcrs",
    meaning="the registers that must be quoted, each with its accepted values (32 bytes in hex)",
    example={"4": ["00" * 32], "11": ["00" * 32]},
)

KINDS: Final[Mapping[str, KindDefaults]] = {
    SgxSection.KIND: KindDefaults(
        title="Intel SGX enclaves",
        defaults=SGX_DEFAULTS,
        own=(_measured("mrenclave", "MRENCLAVE", "the enclave's code, 32 bytes in hex", 32),),
    ),
    SnpSection.KIND: KindDefaults(
        title="AMD SEV-SNP guests",
        defaults=SNP_DEFAULTS,
        own=(_measured("measurements", "MEASUREMENT", "launch digests, 48 bytes in hex"),),
    ),
    TdxSection.KIND: KindDefaults(
        title="Intel TDX trust domains",
        defaults=TDX_DEFAULTS,
        own=(
            _measured("mrtd", "MRTD", "the initial image, 48 bytes in hex"),
            _measured("rtmr0", "RTMR0", "the firmware's configuration; or the word any"),
            _measured("rtmr1", "RTMR1", "the boot loader and kernel; or the word any"),
            _measured("rtmr2", "RTMR2", "command line and initial ramdisk; or the word any"),
        ),
    ),
    AzureSnpSection.KIND: KindDefaults(
        title="Azure confidential VMs on SEV-SNP",
        defaults=AZURE_SNP_DEFAULTS,
        own=(_PCRS,),
        hardware=SnpSection.KIND,
    ),
    AzureTdxSection.KIND: KindDefaults(
        title="Azure confidential VMs on TDX",
        defaults=AZURE_TDX_DEFAULTS,
        own=(_PCRS,),
        hardware=TdxSection.KIND,
    ),
    NitroSection.KIND: KindDefaults(
        title="AWS Nitro enclaves",
        defaults=NITRO_DEFAULTS,
        own=(_measured("pcr0", "PCR0", "the whole image, 48 bytes in hex"),),
    ),
    ConfidentialSpaceSection.KIND: KindDefaults(
        title="Google Confidential Space",
        defaults=CONFIDENTIAL_SPACE_DEFAULTS,
        own=(
            OwnField(
                field="image_digests",
                meaning="SHA-256 of the container images, in hex",
                example=["00" * 32],
            ),
            OwnField(
                field="arguments",
                meaning="the arguments that the container is started with; or the word any",
                example=["--flag"],
            ),
            OwnField(
                field="audiences",
                meaning="whom the token is for, as the workload asks for it",
                example=["https://example.org"],
            ),
        ),
    ),
    TpmSection.KIND: KindDefaults(
        title="measured boot with a TPM",
        defaults=TPM_DEFAULTS,
        own=(
            OwnField(
                field="roots",
                meaning="digests of the root certificates of your TPMs' makers",
                example=[_DIGEST],
            ),
            OwnField(
                field="code",
                meaning="digests of the workers' environments (mc2 start, mc2 measure), or any "
                "where the registers of the boot cover them",
                example=["00" * 32],
            ),
            _PCRS,
        ),
    ),
    SimulatedSection.KIND: KindDefaults(
        title="SIMULATED enclaves, which protect nothing",
        defaults=(),
        own=(
            OwnField(field="root", meaning="digest of the simulation's root", example=_DIGEST),
            _measured("measurements", "MEASUREMENT", "what the simulation measures, 48 bytes"),
        ),
    ),
}
"""All kinds that a policy can speak of."""


def find_kind(word: str) -> str:
    """A kind by its name or a part of it that only one has: `snp`. Raises: UsageError."""
    if word in KINDS:
        return word
    # The parts of a name, so that tdx is not also azure-tdx-vtpm.
    found = [kind for kind in KINDS if word and kind.partition("/")[0].endswith("-" + word)]
    found = found or [kind for kind in KINDS if word and kind.startswith(word)]
    if len(found) != 1:
        raise UsageError(
            f"{word!r} is no kind of evidence" if not found else f"{word!r} is several kinds",
            hint=f"kinds are {', '.join(KINDS)}",
        )
    return found[0]


def proposal(kind: str, own: Mapping[str, Json]) -> dict[str, Json]:
    """A section from the proposals and the members' own values; `own` may lack some.

    The own values of a section within stand under `hardware`.
    """
    begin = KINDS[kind]
    mine = dict(own)
    if begin.hardware is not None:
        inner = mine.pop("hardware", {})
        assert isinstance(inner, Mapping)  # noqa: S101  our callers build it
        mine["hardware"] = proposal(begin.hardware, inner)
    return proposed(begin.defaults, **mine)


def sample(kind: str) -> dict[str, Json]:
    """A section that reads well and means nothing: what checks of single fields start from."""
    begin = KINDS[kind]
    own: dict[str, Json] = {field.field: field.example for field in begin.own}
    found = proposed(begin.defaults, **own)
    return found | ({"hardware": sample(begin.hardware)} if begin.hardware else {})


def default_objections(claims: VerifiedClaims) -> tuple[str, ...]:
    """What the proposals for this kind would say against claims, their code taken as accepted.

    Empty also for kinds where evidence does not name all that the members must.
    """
    begin = KINDS.get(claims.kind)
    if begin is None or begin.hardware is not None:
        return ()
    values = {own.field: claims.measurements.get(own.claim or "") for own in begin.own}
    if not all(values.values()):
        return ()
    own_values: dict[str, Json] = {name: [value] for name, value in values.items()}
    section = read_section(claims.kind, proposal(claims.kind, own_values))
    return tuple(section.check(claims))


def read_section(kind: str, value: Json) -> PolicySection:
    """One section alone. Raises: FormatError."""
    fields = Fields(value, kind)
    section = SECTION_TYPES[kind].read(fields)
    fields.done()
    return section
