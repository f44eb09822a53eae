"""The worker: checks everything itself, computes, seals, signs. Measured and attested."""
