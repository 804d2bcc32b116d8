"""Tasks that architectures are compared on: plain torch functions on token tensors.

Each task is one file. Its folder is its family, named after the kind of computation. Nothing in this package imports
from the architectures or from the harness.
"""
