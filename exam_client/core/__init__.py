"""Rules of attempts, timing, scoring and sending. Pure: no I/O, no clock, no chance."""
