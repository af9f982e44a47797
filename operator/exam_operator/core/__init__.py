"""Decisions of the operator: observed world + spec + now -> plan. Pure."""
