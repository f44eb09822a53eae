"""Spark Connect on this machine: stock PySpark code over sealed tables.

The only part of mc2 that knows gRPC and PySpark's messages. It decides nothing: DataFrame code
becomes a script (`mc2.planner.connect`), and the script goes the way of every other script.
"""
