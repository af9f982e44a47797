"""Fan-out of live events to WebSockets: a slow reader never holds up the others."""
