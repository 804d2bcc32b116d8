"""Sequence architectures as plain torch modules: the models that the benchmark compares.

Every architecture is one file in the folder of its family. Shared pieces live in ``parts``.
Nothing in this package imports the tasks or the harness.
"""
