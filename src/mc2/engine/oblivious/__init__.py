"""Runs plans whose traces depend on public shapes alone: the plan's nodes on oblivious operators."""
