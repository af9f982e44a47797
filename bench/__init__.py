"""Measures MedXamion on this machine: ``python -m bench`` (``make bench``)."""
