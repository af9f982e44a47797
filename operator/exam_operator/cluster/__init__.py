"""The cluster edge: the operator's core over the Kubernetes API."""
