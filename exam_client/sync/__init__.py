"""Sends the outbox to the coordinator, in order, for as long as it takes."""
