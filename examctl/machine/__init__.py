"""One machine, no Kubernetes: PostgreSQL, coordinator and process edge out of one folder."""
