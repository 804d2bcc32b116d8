"""Counts of errors by place agree with the scores, whatever the mode of the task and the parts of the test set."""

import pytest
import torch

from harness.data.presentation import Presentation
from harness.evaluation import scoring
from harness.evaluation.error_places import MOST_BINS, ErrorPlaces, Grading, error_places
from harness.evaluation.scoring import distinct_set, score
from harness.models.population import Population, build_seeded
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task

CPU = torch.device("cpu")
CASES = [
    ("reverse:alphabet=2", "generate", False, 6),
    ("many_stacks:items=2,stacks=2", "tag", True, 20),
    ("flip_flop", "tag", False, 40),
    ("joint_recall", "readout", True, 4),
]


@pytest.mark.parametrize(("task", "answer", "begin", "length"), CASES, ids=[case[0] for case in CASES])
def test_counts_add_up_to_the_scores(
    task: str, answer: str, begin: bool, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "TOKENS_AT_ONCE", 400)  # several parts
    catalog = Catalog()
    presentation = Presentation(build_task(Spec.parse("task", task, catalog)), answer, begin=begin)  # type: ignore[arg-type]
    spec = Spec.parse("architecture", "gru:width=8", catalog)
    population = Population([build_seeded(spec, presentation.symbols, seed) for seed in range(2)])
    questions = distinct_set(presentation, task, length, 60, CPU)
    scores, places = score(population, presentation, questions), error_places(population, presentation, questions)
    for total, positions, events in zip(scores, places.by_position(), places.by_events(), strict=True):
        if task == "joint_recall":
            assert positions is None  # answers have one position
        else:
            assert positions is not None
            assert (sum(positions.n), sum(positions.right)) == (total.tokens, total.right)
            assert total.n - sum(positions.first) == total.exact
            mean = sum(n * loss for n, loss in zip(positions.n, positions.loss, strict=True)) / total.tokens
            assert mean == pytest.approx(total.loss, abs=1e-4)
            assert len(positions.starts) <= MOST_BINS
        if task != "reverse:alphabet=2":
            assert events is not None
            assert (sum(events.n), sum(events.right)) == (total.tokens, total.right)


def test_bins_hold_the_right_places() -> None:
    """Errors at known positions of a long answer, behind a start token, are in the bins of these positions."""
    presentation = Presentation(build_task(Spec.parse("task", "n_back", Catalog())), "tag", begin=True)
    right = torch.ones(1, 3, 41, dtype=torch.bool)
    right[0, 0, 1], right[0, 1, 40], right[0, 1, 8] = False, False, False  # positions 1, 40 and 8
    counted = torch.ones_like(right)
    counted[..., 0] = False  # the start token
    places = ErrorPlaces(presentation, 1)
    places.add(Grading(torch.zeros(3, 40, dtype=torch.long), right, counted, torch.zeros(1, 3, 41)))
    (bins,) = places.by_position()
    assert bins is not None
    assert bins.starts == list(range(1, 41, 2))
    wrong = {start for start, n, good in zip(bins.starts, bins.n, bins.right, strict=True) if good < n}
    assert wrong == {1, 7, 39}
    assert [start for start, count in zip(bins.starts, bins.first, strict=True) if count] == [1, 7]
