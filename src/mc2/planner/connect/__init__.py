"""DataFrame code, as Spark Connect's client sends it, to a script. Without gRPC or PySpark."""
