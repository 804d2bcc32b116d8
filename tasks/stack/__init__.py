"""Stack tasks: a deterministic pushdown automaton can solve them."""
