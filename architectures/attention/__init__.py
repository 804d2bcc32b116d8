"""Transformers: models whose layers are self-attention."""
