"""Use cases of the coordinator, one module each."""
