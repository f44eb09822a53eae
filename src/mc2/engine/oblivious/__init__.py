"""Runs plans so that traces depend on public shapes alone: their nodes on oblivious operators."""
