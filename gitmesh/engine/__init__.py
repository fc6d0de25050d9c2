"""The pass, when it runs, and what it is wired from."""
