"""Evaluation: exact match and token accuracy on fixed test sets, and the chance level of both."""
