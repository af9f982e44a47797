"""The process edge: the operator's core on one machine, without Kubernetes."""
