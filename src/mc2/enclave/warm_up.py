"""Loads all that a job may need, while the process may still open files."""
