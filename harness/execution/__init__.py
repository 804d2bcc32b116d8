"""Execution of a suite: the plan, the jobs that are left to do, and the worker processes that do them."""
