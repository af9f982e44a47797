"""The encrypted SQLite file and the one thread that writes to it."""
