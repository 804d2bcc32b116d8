"""Counting: how many, which more, what next."""
