"""Strings: move symbols around without changing them."""
