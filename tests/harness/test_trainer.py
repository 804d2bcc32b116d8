"""The trainer: lengths, data, curves, early stopping, checkpoints, counts and failures."""

from collections import Counter

import pytest
import torch

from harness.config.cell import Cell, Group, make_groups
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Presentation
from harness.data.questions import question_hashes
from harness.data.step_lengths import StepLengths, train_lengths
from harness.models.population import Population, build_seeded
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from harness.training.schedules import rate_factor
from harness.training.trained import Training
from harness.training.trainer import LOG_POINTS, Trainer
from harness.training.validation import solve_all_lengths, validate
from tasks.base import Task

CATALOG = Catalog()
CPU = torch.device("cpu")
SHORT = {"batch_size": 8, "train_lengths": "1:4", "warmup": 2, "schedule": "constant"}
FITS = {"train_lengths": "1:2", "steps": 200, "validations": 20, "grace": 0.0}
EASY = "reverse:alphabet=1"
"""Its answers depend only on the length of the question, so a few steps fit it."""


class ForgetfulPopulation(Population):
    """One model that answers ``reverse:alphabet=1`` right at all lengths but one."""

    def __init__(self, wrong: int | None) -> None:
        trainer = make_trainer(EASY, Recipe(**{**SHORT, "steps": 1}))
        super().__init__([trainer.population.model])
        self.wrong = wrong

    def logits(self, source: torch.Tensor, prefix: torch.Tensor | None) -> torch.Tensor:
        """Return logits of the first symbol and then of the end, or of others at one length."""
        assert prefix is not None
        symbols = list(self.model.symbols)
        answer = torch.zeros_like(prefix)
        answer[..., -1] = symbols.index("<end>")
        if source.shape[-1] == self.wrong:
            answer = (answer + 1) % len(symbols)
        return torch.nn.functional.one_hot(answer, len(symbols)).float()


def make_trainer(task: str, recipe: Recipe, rates: tuple[float, ...] = (1e-2,)) -> Trainer:
    """Return a trainer of small LSTMs, one for each learning rate, with seeds 0, 1, ..."""
    spec, task_spec = Spec.parse("architecture", "lstm:width=16,depth=1", CATALOG), Spec.parse("task", task, CATALOG)
    presentation = Presentation(build_task(task_spec))
    cells = tuple(Cell(spec, task_spec, recipe, rate, seed) for seed, rate in enumerate(rates))
    models = [build_seeded(spec, presentation.symbols, cell.seed, "lstm") for cell in cells]
    return Trainer(Population(models), Group(cells), presentation, lambda step, loss: None)


def train(task: str, rates: tuple[float, ...] = (1e-2,), **recipe: object) -> Training:
    return make_trainer(task, Recipe(**{**SHORT, **recipe}), rates).run()


def lengths_of(task: str, recipe: Recipe) -> list[int]:
    lengths = StepLengths(task_of(task), task, recipe)
    return [lengths[step] for step in range(recipe.steps)]


def task_of(text: str) -> Task:
    return build_task(Spec.parse("task", text, CATALOG))


def test_lengths_are_uniform_over_the_tasks_lengths() -> None:
    recipe = Recipe(steps=6000, train_lengths="3:40")
    assert train_lengths(task_of("count:numbers=8"), recipe) == [3, 4, 5, 6, 7, 8]
    counts = Counter(lengths_of("count:numbers=8", recipe))
    assert set(counts) == {3, 4, 5, 6, 7, 8}
    assert all(abs(count - 1000) < 150 for count in counts.values())


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5])
def test_a_length_is_drawn_ratio_times_as_often_as_the_one_below(ratio: float) -> None:
    counts = Counter(lengths_of("parity", Recipe(steps=20_000, train_lengths="2:7", length_ratio=ratio)))
    total = sum(ratio**length for length in range(2, 8))
    expected = {length: 20_000 * ratio**length / total for length in range(2, 8)}
    chi_squared = sum((counts[length] - mean) ** 2 / mean for length, mean in expected.items())
    assert chi_squared < 20.5  # the 99.9 % quantile of five degrees of freedom


@pytest.mark.parametrize(("ratio", "rare"), [(1e-3, 1000), (1e3, 1)])
def test_lengths_whose_weight_rounds_to_zero_are_not_drawn(ratio: float, rare: int) -> None:
    growing = Recipe(steps=2000, train_lengths="1:1000", length_ratio=ratio, length_growth="steps")
    drawn = lengths_of("parity", growing)
    assert drawn[0] == 1
    assert rare not in drawn[1000:]
    assert max(drawn) <= 1000


def test_a_ratio_of_one_draws_what_integer_arithmetic_draws() -> None:
    task = build_task(Spec.parse("task", "parity", CATALOG))
    lengths = StepLengths(task, "parity", Recipe(train_lengths="1:997"))
    firsts = [-(-k * 2**31 // 997) for k in range(1, 997)]  # the smallest draw of each length
    lengths.draws += [draw - below for draw in firsts for below in (0, 1)] + [0, 2**31 - 1]
    lengths.full_range = [True] * len(lengths.draws)
    assert [lengths[step] for step in range(len(lengths.draws))] == [1 + (draw * 997 >> 31) for draw in lengths.draws]


def test_more_steps_keep_the_lengths_of_the_first_ones() -> None:
    short, long = (lengths_of("parity", Recipe(steps=steps)) for steps in (50, 200))
    assert long[:50] == short
    assert lengths_of("majority", Recipe(steps=50)) != short


def test_lengths_grow_over_the_first_half_of_the_steps() -> None:
    grown = lengths_of("parity", Recipe(steps=4000, train_lengths="1:10", length_growth="steps"))
    for first, most in ((0, 1), (200, 2), (1000, 6), (1800, 10)):
        assert set(grown[first : first + 200]) == set(range(1, most + 1)), first
    assert set(grown[2000:]) == set(range(1, 11))


def test_a_share_of_steps_draws_from_all_lengths() -> None:
    recipe = Recipe(steps=8000, train_lengths="1:10", length_growth="mastery", full_range_share=0.25)
    counts = Counter(lengths_of("parity", recipe))
    assert all(counts[length] == pytest.approx(200, abs=60) for length in range(2, 11))
    assert counts[1] == pytest.approx(6200, abs=120)


def test_mastered_lengths_bring_the_next_one_into_use() -> None:
    growing = {"length_growth": "mastery", "train_lengths": "1:4", "steps": 400, "schedule": "constant"}
    trainer = make_trainer(EASY, Recipe(**{**SHORT, **growing}), (4e-2,))
    assert trainer.batches.lengths.longest_in_use == 1
    trainer.run()
    assert trainer.batches.lengths.longest_in_use == 4
    assert not trainer.batches.lengths.can_grow
    slow = make_trainer(EASY, Recipe(**{**SHORT, **growing}), (1e-9,))
    slow.run()
    assert slow.batches.lengths.longest_in_use == 1


def test_cells_that_grow_by_mastery_are_trained_one_by_one() -> None:
    spec, task = Spec.parse("architecture", "lstm", CATALOG), Spec.parse("task", "parity", CATALOG)
    sizes = {
        growth: [
            len(g.cells)
            for g in make_groups([Cell(spec, task, Recipe(length_growth=growth), 1e-3, s) for s in range(4)], 3)
        ]
        for growth in ("none", "steps", "mastery")
    }
    assert sizes == {"none": [3, 1], "steps": [3, 1], "mastery": [1, 1, 1, 1]}


def test_a_population_gets_the_batches_of_its_models() -> None:
    recipe, cpu = Recipe(steps=5, **SHORT), torch.device("cpu")
    presentation = Presentation(task_of("reverse"))
    population = Batches(presentation, "reverse", recipe, [4, 9], cpu)
    single = [Batches(presentation, "reverse", recipe, [seed], cpu) for seed in (4, 9)]
    for step in range(5):
        parts = [batches(step) for batches in single]
        assert torch.equal(population(step).source, torch.cat([part.source for part in parts]))
        assert torch.equal(population(step).target, torch.cat([part.target for part in parts]))
        assert not torch.equal(parts[0].source, parts[1].source)


def test_the_curve_has_a_point_at_each_log_point_and_validation() -> None:
    recipe = Recipe(steps=120, validations=3, **SHORT)
    trainer = make_trainer("parity", recipe)
    curve = trainer.run().models[0].curve
    steps = [point["step"] for point in curve]
    assert steps == sorted({*recipe.moments(LOG_POINTS), *recipe.moments(3)})
    assert [point["step"] for point in curve if "validation_exact" in point] == [40, 80, 120]
    for start, point in zip([0, *steps], curve, strict=False):
        assert point["loss"] == pytest.approx(float(trainer.losses[start : point["step"], 0].mean()), rel=1e-5)


def test_listen_is_called_at_each_log_point() -> None:
    trainer, calls = make_trainer("parity", Recipe(steps=10, **SHORT), (1e-2, 1e-3)), []
    trainer.listen = lambda step, loss: calls.append((step, loss))
    models = trainer.run().models
    points = [tuple(model.curve[i]["loss"] for model in models) for i in range(10)]
    assert calls == [(i + 1, pytest.approx(sum(losses) / 2)) for i, losses in enumerate(points)]


def test_stops_once_fitted_and_keeps_that_model() -> None:
    done = train(EASY, (4e-2, 1e-9), stop_when_fitted=True, checkpoints=4, **FITS)
    quick, slow = done.models
    assert quick.steps_used < 200
    assert quick.curve[-1]["step"] == quick.steps_used
    assert quick.curve[-1]["validation_exact"] == 1.0
    assert slow.steps_used == 200
    assert slow.curve[-1]["validation_exact"] < 1.0
    assert not quick.failure
    assert not slow.failure
    checkpoints = [quick.checkpoints[step] for step in (150, 200)]
    assert all(torch.equal(checkpoints[0][name], checkpoints[1][name]) for name in checkpoints[0])


def test_a_fitted_model_gets_further_steps_in_which_its_rate_falls_to_zero() -> None:
    stopping = {**FITS, "stop_when_fitted": True, "grace": 0.25}
    trainer = make_trainer(EASY, Recipe(**{**SHORT, **stopping}), (4e-2, 1e-9))
    quick, slow = trainer.run().models
    assert quick.fitted_at is not None
    assert quick.steps_used == quick.fitted_at + 50 < 200
    assert quick.curve[-1]["step"] == quick.steps_used
    assert "validation_exact" in quick.curve[-1]
    assert (slow.fitted_at, slow.steps_used) == (None, 200)
    rates = trainer.stopping.factors[:, 0]
    assert torch.allclose(rates[quick.fitted_at : quick.steps_used], 1 - torch.arange(50) / 50)
    assert not rates[quick.steps_used :].any()
    assert trainer.stopping.factors[2:, 1].eq(1).all()


def test_a_model_fits_only_if_it_solves_every_training_length() -> None:
    """Validation scores five of the nine lengths, so that a model may be right on these only."""
    trainer = make_trainer(EASY, Recipe(**{**SHORT, "train_lengths": "1:9", "steps": 1}))
    exact = validate(trainer.population, trainer.presentation, trainer.key, trainer.recipe)
    assert len(exact) == 1
    for wrong, solved in ((None, True), (2, False), (9, False)):
        population = ForgetfulPopulation(wrong)
        assert solve_all_lengths(population, trainer.presentation, trainer.key, trainer.recipe) == [solved]


def test_stops_early_only_with_stop_when_fitted() -> None:
    stopped = train(EASY, (4e-2,), stop_when_fitted=True, **FITS)
    full = train(EASY, (4e-2,), **FITS)
    assert max(stopped.models[0].checkpoints) == stopped.models[0].steps_used < 200
    assert full.models[0].steps_used == 200


def test_checkpoints_are_evenly_spaced_and_differ() -> None:
    trainer = make_trainer("parity", Recipe(steps=8, checkpoints=4, **SHORT), (1e-2, 1e-3))
    done = trainer.run()
    for index, model in enumerate(done.models):
        assert sorted(model.checkpoints) == [2, 4, 6, 8]
        last = done.population.weights(index)
        assert all(torch.equal(model.checkpoints[8][name], last[name]) for name in last)
        assert any(not torch.equal(model.checkpoints[2][name], last[name]) for name in last)


@pytest.mark.parametrize("task", ["reverse:alphabet=2", "addition", "parity"])
def test_distinct_questions_are_counted(task: str) -> None:
    recipe = Recipe(steps=30, **SHORT)
    trainer = make_trainer(task, recipe)
    questions = {tuple(row) for step in range(30) for row in trainer.batches(step).source.tolist()}
    assert trainer.run().models[0].distinct == pytest.approx(len(questions) / (30 * 8))


def test_test_questions_seen_in_training_are_counted() -> None:
    """Of two test questions one was drawn."""
    trainer = make_trainer("parity", Recipe(steps=40, **SHORT))
    drawn = [row for step in range(40) for row in trainer.batches(step).source.tolist() if len(row) == 4]
    first, unknown = torch.tensor(drawn[0])[None], torch.full((1, 4), 7)
    trainer.tested = {4: question_hashes(torch.cat((first, unknown))), 3: question_hashes(unknown[:, :3])}
    assert trainer.run().models[0].seen == {4: 0.5, 3: 0.0}


def test_a_frozen_model_has_not_seen_what_the_others_draw() -> None:
    recipe = Recipe(**{**SHORT, **FITS, "stop_when_fitted": True})
    alone, together = (make_trainer(EASY, recipe, rates) for rates in ((4e-2,), (4e-2, 1e-9)))
    (model, *_), (same, slow) = alone.run().models, together.run().models
    assert model.steps_used == same.steps_used < slow.steps_used
    assert model.distinct == same.distinct > slow.distinct


def test_tokens_are_those_of_source_and_prefix() -> None:
    trainer = make_trainer("reverse", Recipe(steps=30, **SHORT))
    assert trainer.run().tokens == 8 * sum(2 * trainer.batches.lengths[step] + 1 for step in range(30))


def test_a_divergence_is_a_failure_of_one_model() -> None:
    healthy = train("parity", (1e-2, 1e-2, 1e-2), steps=20)
    trainer = make_trainer("parity", Recipe(steps=20, **SHORT), (1e-2, 1e-2, 1e-2))
    for _ in range(6):
        trainer.step()
    with torch.no_grad():
        trainer.population.values[1] = torch.nan
    done = trainer.run()
    assert done.models[1].failure == "diverged: the gradient was not finite at step 7 of 20"
    assert done.models[1].steps_used == 6
    for index in (0, 2):
        assert not done.models[index].failure
        assert torch.equal(done.population.values[index], healthy.population.values[index])


def test_training_ends_when_no_model_is_left() -> None:
    trainer = make_trainer("parity", Recipe(steps=500, **SHORT))
    with torch.no_grad():
        trainer.population.values.fill_(torch.nan)
    done = trainer.run()
    assert done.models[0].failure
    assert done.models[0].curve == []
    assert trainer.done == 500 // LOG_POINTS


def test_training_learns_and_is_reproducible() -> None:
    first, again = (train(EASY, (2e-2,), steps=100) for _ in range(2))
    assert first.models[0].curve == again.models[0].curve
    assert first.models[0].curve[-1]["loss"] < 0.5 * first.models[0].curve[0]["loss"]
    assert torch.equal(first.population.values, again.population.values)


def test_the_learning_rate_follows_its_schedule() -> None:
    cosine, inverse_sqrt, constant = (
        Recipe(steps=100, warmup=10, schedule=name) for name in ("cosine", "inverse_sqrt", "constant")
    )
    for recipe in (cosine, inverse_sqrt, constant):
        assert [rate_factor(recipe, step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [rate_factor(cosine, step) for step in (10, 55, 100)] == pytest.approx([1.0, 0.5, 0.0])
    assert [rate_factor(inverse_sqrt, step) for step in (39, 89)] == pytest.approx([0.5, 1 / 3])
    assert rate_factor(constant, 99) == 1.0


def drawn_questions(distinct: int, seeds: list[int], steps: int = 200) -> dict[int, list[set[int]]]:
    """Return the questions that each seed is trained on, by length."""
    recipe = Recipe(batch_size=8, train_lengths="10:12", steps=steps, distinct=distinct)
    batches = Batches(Presentation(build_task(Spec.parse("task", "parity", CATALOG))), "parity", recipe, seeds, CPU)
    questions: dict[int, list[set[int]]] = {length: [set() for _ in seeds] for length in batches.lengths.choices}
    for step in range(steps):
        hashes = question_hashes(batches(step).source).view(len(seeds), -1)
        for found, row in zip(questions[batches.lengths[step]], hashes, strict=True):
            found |= set(row.tolist())
    return questions


def test_a_fixed_set_has_the_stated_number_of_sequences_in_any_population() -> None:
    both, second = drawn_questions(11, [0, 1]), drawn_questions(11, [1])
    assert {length: len(sets[0]) for length, sets in both.items()} == {10: 3, 11: 4, 12: 4}
    assert all(both[length][1] == second[length][0] for length in both)
    assert all(sets[0] != sets[1] for sets in both.values())
    larger = drawn_questions(30, [0, 1])
    assert all(both[length][0] < larger[length][0] for length in both)
