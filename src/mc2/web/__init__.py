"""Pages over the coordinator, labelled as unverified."""
