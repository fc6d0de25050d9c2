"""A small Kubernetes API server: enough for kubectl and the official client."""
