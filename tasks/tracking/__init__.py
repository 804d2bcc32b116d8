"""State tracking: apply one step after another to a hidden state and say what it has become."""
