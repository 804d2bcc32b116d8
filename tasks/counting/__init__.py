"""Counting: count symbols, compare counts, and keep brackets balanced."""
