"""The operator's hands: Kubernetes, local processes, coordinator and exam-clients."""
