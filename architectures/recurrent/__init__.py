"""Recurrent networks: models with a hidden state that is updated token by token."""
