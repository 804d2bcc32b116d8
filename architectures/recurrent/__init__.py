"""Recurrent networks: one hidden state, updated token by token."""
