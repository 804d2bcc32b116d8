"""Convolutions: what a position sees is a filter over what came before."""
