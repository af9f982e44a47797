"""The exam-client: one delivery, one process, one encrypted file."""
