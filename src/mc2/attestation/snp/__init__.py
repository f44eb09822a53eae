"""AMD SEV-SNP: the attestation report and the key that signs it. Spec: evidence-sev-snp.md."""
