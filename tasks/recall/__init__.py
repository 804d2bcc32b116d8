"""Recall: find again what stood in the context."""
