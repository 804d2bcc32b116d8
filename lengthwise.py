"""Lengthwise from Python: train models, load results and models, and plot them.

>>> import lengthwise
>>> results = lengthwise.train(["lstm", "transformer"], "parity", steps=500, seeds=2)       # doctest: +SKIP
>>> results.scores.groupby(["architecture", "length"]).exact.median()                       # doctest: +SKIP
>>> lengthwise.plot_lengths(results.scores)                                                 # doctest: +SKIP
>>> model = lengthwise.load_model("results/custom-3f2a", results.cells.cell[0])             # doctest: +SKIP
>>> model.predict("1 0 1 1")                                                                # doctest: +SKIP

``docs/python.md`` walks through these functions. Errors in arguments raise :class:`UserError`, a message of one line.
"""

from harness.api.models import TrainedModel, load_model
from harness.api.plots import plot_lengths, plot_losses, plot_matrix
from harness.api.results import Results, load, train
from harness.errors import UserError

__all__ = [
    "Results",
    "TrainedModel",
    "UserError",
    "load",
    "load_model",
    "plot_lengths",
    "plot_losses",
    "plot_matrix",
    "train",
]
