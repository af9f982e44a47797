"""The command line: run everything on one machine, apply, import, simulate, verify."""
