"""Configuration of a run: suites, recipes, lengths, claims of the literature, and the cells that follow from them."""
