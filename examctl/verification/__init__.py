"""An independent checker: it shares no code with the services, the contract or the simulator.

What it knows of the formats it knows from docs/protocol.md; a mistake in the shared code can
therefore not hide itself here. An import contract keeps it so.
"""
