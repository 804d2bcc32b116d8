"""Plots of the training losses of pairs that did not fit."""

from harness.analysis.statistics import PAIR
from harness.report.captions import selection
from harness.report.figures import PanelGroup
from harness.report.results import Results
from harness.report.training_curves import loss_panels
from harness.report.unfitted import FEW, unfitted_pairs


def unfitted_losses(results: Results) -> PanelGroup:
    """Return the training losses of the pairs that did not fit, a panel for each task."""
    cells = results.selected.merge(unfitted_pairs(results)[PAIR], on=PAIR)
    caption = (
        f"Each line is the training loss of one seed of a pair of which {FEW}. A seed that does not fit is trained for "
        f"the full budget. {selection(results)}"
    )
    panels, legend = loss_panels(results, cells)
    return PanelGroup("loss-unfitted", "Loss of pairs that did not fit", caption, panels, legend)
