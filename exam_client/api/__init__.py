"""HTTP doors of the exam-client: participants, live progress, control."""
