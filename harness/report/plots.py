"""All pictures of a run."""

from harness.report.conjecture import conjecture
from harness.report.costs import costs
from harness.report.curves import curves
from harness.report.drawing import Gallery
from harness.report.maps import inspections, score_maps
from harness.report.training import checkpoints, losses
from harness.report.view import View


def galleries(view: View) -> dict[str, Gallery]:
    """Return the galleries that have something to show, by name."""
    made = [score_maps(view), curves(view, "exact"), curves(view, "token"), conjecture(view)]
    made += [checkpoints(view), costs(view), losses(view), inspections(view)]
    return {gallery.name: gallery for gallery in made if gallery.panels}
