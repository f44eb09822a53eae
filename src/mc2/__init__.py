"""Secure collaborative analytics and machine learning."""
