"""Typed views of Istio's traffic kinds: strict models, host names, routes, weights."""
