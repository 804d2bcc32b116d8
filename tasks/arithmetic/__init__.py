"""Arithmetic on digit strings."""
