"""Architectures and tasks by name: the catalog of files, their options, and the fingerprint of their code."""
