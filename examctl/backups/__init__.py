"""Backups of a delivery's file: sealed to a person's public key, and proven to be restorable."""
