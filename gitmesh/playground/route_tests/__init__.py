"""Route tests on a real Envoy: its routes are the real ones, and one server stands behind all of them."""
