"""Recall: find a token that occurred earlier in the context and return the one that goes with it."""
