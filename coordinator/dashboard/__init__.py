"""The coordinator's pages for committee, scorers and admins."""
