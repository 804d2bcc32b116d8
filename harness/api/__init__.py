"""Lengthwise from Python: what the module ``lengthwise`` offers. The command line does not use it."""
