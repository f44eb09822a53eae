"""Walks a checked plan: DuckDB for relations, stock XGBoost for trees (encrypted mode)."""
