"""REST and WebSocket doors of the coordinator, public and internal."""
