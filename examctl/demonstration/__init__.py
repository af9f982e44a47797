"""The demo: a real delivery from start to clean-up, with crashes, checked from outside."""
