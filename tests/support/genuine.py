"""Which cases of genuine evidence there are, and why the false ones among them are refused."""

from __future__ import annotations

SNP_VALID = (
    "amd-genoa-vcek-ms",
    "amd-genoa-vcek-v5-live",
    "amd-milan-vcek-ms",
    "amd-milan-vcek-v2-aci",
    "amd-milan-vcek-v2-coco",
    "amd-milan-vcek-v2-debug-google",
    "amd-milan-vlek-v3-coco-aws",
    "amd-turin-vcek-ms",
)
SNP_INVALID = {
    "amd-invalid-vcek-legacy-coco": "the signature of the VCEK certificate is false",
    "amd-tampered-measurement": "the signature of the SNP report is false",
    "amd-tampered-policy-debug": "the signature of the SNP report is false",
    "amd-tampered-signature": "the signature of the SNP report is false",
    "amd-wrong-vcek": "another firmware version",
}

NITRO_VALID = ("nitro-anjuna-full-debug", "nitro-evervault-prod", "nitro-veracruz-prod")
NITRO_INVALID = {
    "nitro-tampered-pcr0": "the signature of the Nitro document is false",
    "nitro-veracruz-badsig": "the signature of the Nitro document is false",
}
