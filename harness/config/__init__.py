"""The configuration of a run: suites, recipes, lengths, published claims, and the cells that they define."""
