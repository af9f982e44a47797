"""Use cases of the exam-client, one module each."""
