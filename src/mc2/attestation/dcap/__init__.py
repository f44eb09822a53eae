"""Intel SGX and TDX quotes (DCAP): parse, verify, appraise. Spec: docs/spec/evidence-dcap.md."""
