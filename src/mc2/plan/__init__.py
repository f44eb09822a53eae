"""The canonical plan: typed nodes, checks, lineage, digest."""
