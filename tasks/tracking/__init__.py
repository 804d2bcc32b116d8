"""State tracking: apply a sequence of steps to a hidden state and report the result."""
