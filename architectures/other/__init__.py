"""Architectures of no other family: n-gram counts and hybrids of several mixers."""
