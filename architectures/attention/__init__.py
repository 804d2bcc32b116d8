"""Transformers: every token looks at every other."""
