"""TPC-H over sealed tables, beside engines that read plaintext."""
