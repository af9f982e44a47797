"""Simulated participants: they sit an exam over real HTTP and note everything they are told."""
