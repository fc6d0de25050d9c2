"""Measurements on real parts, run by `make bench`. Each says what it asks for and what it found."""
