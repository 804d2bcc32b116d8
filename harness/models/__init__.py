"""Models in the harness: several trained at once as a population, number formats, parameter counts and cost."""
