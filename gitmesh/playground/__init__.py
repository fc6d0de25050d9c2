"""A mesh on one machine."""
