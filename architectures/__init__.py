"""What is compared: sequence architectures as plain torch modules.

Every architecture is one file in the folder of its family. Shared pieces live in ``parts``.
Nothing here knows of tasks or of the harness.
"""
