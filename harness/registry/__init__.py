"""Architectures and tasks by name: the catalog of their files, their options, and fingerprints of their code."""
