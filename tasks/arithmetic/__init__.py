"""Arithmetic on numbers that are written as strings of digits."""
