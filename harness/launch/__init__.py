"""Launching: which jobs are left to do, and local processes that do them."""
