"""Stacks: a pushdown automaton suffices."""
