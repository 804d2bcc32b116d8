"""Recurrent networks with a memory in addition to their hidden state: matrices, stacks, tapes."""
