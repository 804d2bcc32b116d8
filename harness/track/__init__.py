"""Experiment trackers that mirror the records of a run. The records stay the truth; no training depends on a tracker.

A tracker is one file: a class with ``write`` and ``close`` (:mod:`harness.track.tracker`) and a line in its table.
"""

TRACKERS = ("tensorboard", "wandb", "trackio")
"""The trackers. Each has a module of its name here, and the package that it needs is an extra of the same name."""
