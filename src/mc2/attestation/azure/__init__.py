"""Azure confidential VMs: a vTPM whose key a hardware report vouches for.

Spec: docs/spec/evidence-azure-vtpm.md.
"""

from typing import Final

SNP_KIND: Final = "azure-snp-vtpm/v1"
TDX_KIND: Final = "azure-tdx-vtpm/v1"
"""The names of these kinds of evidence."""
