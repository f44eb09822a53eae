"""The version of mc2, as plans and receipts record it."""

VERSION = "0.1.0"
