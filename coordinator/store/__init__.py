"""All SQL of the coordinator, one function per question."""
