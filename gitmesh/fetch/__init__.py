"""Bring a revision from a Git repository. The only package that runs git."""
