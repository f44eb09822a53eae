"""The Spark backend over sealed tables, beside Spark SQL on plaintext."""
