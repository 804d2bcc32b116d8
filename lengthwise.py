"""Lengthwise from Python: train models, load results and models, and plot them::

    import lengthwise

    results = lengthwise.train(["lstm", "transformer"], "parity", steps=500, seeds=2, output="results/mine")
    lengthwise.plot_lengths(results.scores)
    model = lengthwise.load_model("results/mine", results.cells.cell[0])
    model.predict("1 0 1 1")

``docs/python.md`` walks through these functions. Errors in arguments raise :class:`UserError`, a message of one line.
"""

from harness.api.frames import Frames, load
from harness.api.models import TrainedModel, load_model
from harness.api.plots import plot_lengths, plot_losses, plot_matrix
from harness.api.training import train
from harness.errors import UserError

__all__ = [
    "Frames",
    "TrainedModel",
    "UserError",
    "load",
    "load_model",
    "plot_lengths",
    "plot_losses",
    "plot_matrix",
    "train",
]
