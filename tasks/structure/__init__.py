"""Structure: trees, automata and chains that have to be followed."""
