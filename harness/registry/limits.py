"""Upper bounds of counts and rates. A greater value is refused, because no run with it would end or fit into memory."""

MOST_STEPS = 10_000_000
"""Optimizer steps, and steps of warm-up."""
MOST = 1_000_000
"""Sequences in a batch, computation tokens, validations, checkpoints, and values of whole-number options."""
MOST_OF_OPTION = {"depth": 1_000}
"""Values of whole-number options with this name, for which :data:`MOST` is too many: planning builds each layer."""
MOST_SAMPLES = 10_000_000
"""Sequences in a test set."""
MOST_SEEDS = 10_000
"""Seeds of a run."""
LONGEST = 1_000_000
"""Training and test lengths."""
GREATEST_RATE = 1000.0
"""Learning rates, weight decay and clipping norms."""
MOST_PARAMETERS = 10_000_000_000
"""Parameters of one model."""
