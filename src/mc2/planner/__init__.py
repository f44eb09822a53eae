"""Script and SQL text to plan, on the client's side. The only importer of sqlglot."""
