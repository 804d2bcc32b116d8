"""Networks with a memory beside their hidden state: matrices, stacks, tapes."""
