"""Keyed choices in what we serve."""
