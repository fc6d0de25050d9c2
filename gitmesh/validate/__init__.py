"""Find what is wrong in a set of resources before anything is live."""
