"""All pictures of a run."""

from harness.report.cost_plots import costs
from harness.report.figures import Gallery
from harness.report.heatmaps import inspections, score_maps
from harness.report.length_curves import curves
from harness.report.program_length import conjecture
from harness.report.results import View
from harness.report.training_curves import checkpoints, losses


def galleries(view: View) -> dict[str, Gallery]:
    """Return the galleries that have something to show, by name."""
    made = [score_maps(view), curves(view, "exact"), curves(view, "token"), conjecture(view)]
    made += [checkpoints(view), costs(view), losses(view), inspections(view)]
    return {gallery.name: gallery for gallery in made if gallery.panels}
