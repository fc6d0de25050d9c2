"""The only package that speaks to an API server."""
