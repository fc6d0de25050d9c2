"""Turn files into resources and diagnostics."""
