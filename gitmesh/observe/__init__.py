"""See what is live and how requests fare."""
