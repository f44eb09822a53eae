"""Simulated evidence, for demonstrations and tests: it protects nothing."""
