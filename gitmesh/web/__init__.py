"""Health, metrics and webhooks over HTTP."""
