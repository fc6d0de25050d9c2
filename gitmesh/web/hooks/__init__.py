"""Webhooks: a forge tells of a push, and the sources that follow it are fetched now."""
