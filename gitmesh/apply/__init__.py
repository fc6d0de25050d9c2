"""Carry out a plan, one wave at a time."""
