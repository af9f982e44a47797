"""Pure reading of the files people bring: exams and rosters. Every error names its place."""
