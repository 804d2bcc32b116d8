"""Training and test data: random numbers by counter, input formats, and the batches of a training run."""
