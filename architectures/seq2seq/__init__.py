"""Encoder-decoders on recurrences, with and without attention."""
