"""Evaluation: exact match and token accuracy on fixed test sets, and what guessing scores on them."""
