"""Convolutions: each position is a filter over the positions before it."""
