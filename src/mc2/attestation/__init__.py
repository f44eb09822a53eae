"""Evidence: parse, verify, appraise, collect; vendors' roots and defaults."""
