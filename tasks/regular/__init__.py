"""Regular languages: a finite automaton suffices."""
