"""What two parts of MedXamion must agree on, and nothing else: no I/O, only pydantic and stdlib."""
