"""Execution of a suite: the plan, the jobs that remain, and the worker processes that run them."""
