"""The page on which a participant sits the exam."""
