"""Structure: evaluate trees, infer automata and follow chains of references."""
