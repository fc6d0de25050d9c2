"""Istio resources to Envoy configuration, with pilot's names and defaults."""
