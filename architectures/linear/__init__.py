"""Linear recurrences: a state that is updated linearly, trained in parallel."""
