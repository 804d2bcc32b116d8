"""Linear recurrences: models with a linearly updated state, which can be trained in parallel over time."""
