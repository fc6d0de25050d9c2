"""Which route takes a request, and why no earlier one does: Istio's matching, without an Envoy."""
