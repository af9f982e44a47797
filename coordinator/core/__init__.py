"""Rules of the coordinator. Pure: no I/O, no clock, no chance."""
