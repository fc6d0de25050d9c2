"""Route tests: what a repository says must become of requests, and whether it does."""
