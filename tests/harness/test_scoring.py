"""Scoring: scores equal those of greedy decoding in any chunks and populations; chance equals its exact value."""

from functools import cache

import pytest
import torch
from torch import Tensor

import harness.data.questions
import harness.evaluation.scoring
from architectures.base import SequenceModel
from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.data.questions import first_occurrences, question_hashes
from harness.data.rng import Stream
from harness.evaluation.chance import chance
from harness.evaluation.scoring import Score, decode, distinct_set, fixed_set, score, set_hash
from harness.models.population import Population, build_seeded, load
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from harness.training.trainer import Trainer
from tasks.base import IGNORE, Task
from tasks.strings.reverse import Reverse

CATALOG = Catalog()
CPU = torch.device("cpu")
ROWS = 64
MODELS = ("lstm:depth=1", "transformer", "transformer:places=randomized", "bahdanau")


class Loops(Reverse):
    """Repeat the string up to and including its first a: answers of many lengths."""

    def solve(self, source: Tensor) -> Tensor:
        before = (source != 0).long().cumprod(dim=1)
        has_target = torch.cat((torch.ones_like(before[:, :1]), before[:, :-1]), dim=1).bool()
        return source.masked_fill(~has_target, IGNORE)


class OddSoFar(Reverse):
    """Label each position with the parity so far; the first position has no label."""

    answer = "tag"
    lengths = range(2, 100)

    def solve(self, source: Tensor) -> Tensor:
        labels = source.cumsum(1) % 2
        return torch.cat((torch.full_like(labels[:, :1], IGNORE), labels[:, 1:]), dim=1)


class EitherWay(Reverse):
    """Accept two answers: the string backwards or forwards."""

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        backwards = (prediction == target).all(1, keepdim=True)
        forwards = (prediction == source).all(1, keepdim=True)
        return (backwards | forwards).expand_as(target), target != IGNORE


def models(name: str, presentation: Presentation, size: int) -> list[SequenceModel]:
    spec = Spec.parse("architecture", name, CATALOG).with_defaults({"width": 16, "reach": 64})
    return [build_seeded(spec, presentation.symbols, seed, name).double() for seed in range(size)]


@cache
def half_trained(name: str, task: type[Task]) -> dict[str, Tensor]:
    """Return the weights of a model in double precision that is sometimes right and sometimes wrong."""
    presentation = Presentation(task(alphabet=2))  # type: ignore[call-arg]
    recipe = Recipe(steps=120, batch_size=16, train_lengths="1:4", warmup=5, schedule="constant", validations=1)
    group = Group(
        (Cell(Spec.parse("architecture", name, CATALOG), Spec.parse("task", "reverse", CATALOG), recipe, 1e-2, 0),)
    )
    population = Population(models(name, presentation, 1))
    torch.manual_seed(0)
    Trainer(population, group, presentation, lambda step, loss: None).run()
    return population.weights(0)


def trained(name: str, task: type[Task], size: int = 1) -> tuple[Population, Presentation]:
    """Return a population of a half-trained model and of copies with noise."""
    presentation = Presentation(task(alphabet=2))  # type: ignore[call-arg]
    weights, generator = half_trained(name, task), torch.Generator().manual_seed(0)
    noisy = [
        {key: w + 0.1 * i * torch.randn(w.shape, generator=generator) for key, w in weights.items()}
        for i in range(size)
    ]
    return load(models(name, presentation, size), noisy, "cpu"), presentation


def questions(presentation: Presentation, length: int, rows: int = ROWS) -> Tensor:
    return fixed_set(presentation, "test", "evaluate", length, rows, CPU)


@torch.no_grad()
def greedy(population: Population, replica: int, presentation: Presentation, source: Tensor) -> Tensor:
    """Decode greedily with ``forward``, one token after another: long ``[B, T]``."""
    model, weights = population.model.eval(), population.weights(replica)
    start = torch.full((len(source), 1), presentation.special("<start>"))
    answer = start.repeat(1, presentation(source).target.shape[1])
    for position in range(answer.shape[1]):
        prefix = torch.cat((start, answer[:, :-1]), dim=1)
        logits = torch.func.functional_call(model, weights, (source, prefix))
        answer[:, position] = logits[:, position].argmax(-1)
    return answer


@pytest.mark.parametrize(("name", "task"), [*((name, Reverse) for name in MODELS), ("lstm:depth=1", Loops)])
def test_exact_match_is_that_of_greedy_decoding(name: str, task: type[Task]) -> None:
    population, presentation = trained(name, task)
    exact = []
    for length in (1, 2, 3, 4, 6):
        source = questions(presentation, length)
        target = presentation(source).target
        right = (greedy(population, 0, presentation, source) == target) | (target == IGNORE)
        exact.append(int(right.all(1).sum()))
        assert score(population, presentation, source)[0].exact == exact[-1]
    assert 0 < sum(exact) < 5 * ROWS


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_decoding_is_greedy(name: str, size: int) -> None:
    """For models that can be stepped and others, alone and in a population."""
    population, presentation = trained(name, Reverse, size)
    batch = presentation(questions(presentation, 5, 16))
    population.train(False)
    with torch.no_grad():
        decoded = decode(population, batch)
    for replica in range(size):
        assert torch.equal(decoded[replica], greedy(population, replica, presentation, batch.source))


def test_a_task_grades_the_decoded_answer() -> None:
    population, _ = trained("lstm:depth=1", Reverse)
    presentation = Presentation(EitherWay(alphabet=2))
    source = questions(presentation, 3)
    letters = greedy(population, 0, presentation, source)
    has_end = (letters == presentation.special("<end>")).long().argmax(1) == 3  # the first one is at the end
    either = (letters[:, :-1] == source.flip(1)).all(1) | (letters[:, :-1] == source).all(1)
    scored = score(population, presentation, source)[0]
    assert scored.exact == int((has_end & either).sum())
    assert 0 < scored.exact < ROWS
    assert scored.tokens == ROWS * 4
    assert scored.right == int((either * 3 + has_end).sum())


@pytest.mark.parametrize("task", [Loops, EitherWay])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, task: type[Task]) -> None:
    population, _ = trained("lstm:depth=1", Loops, 2)
    presentation = Presentation(task(alphabet=2))  # type: ignore[call-arg]
    source = questions(presentation, 5)
    whole = score(population, presentation, source)
    monkeypatch.setattr(harness.evaluation.scoring, "TOKENS_AT_ONCE", 80)
    for before, after in zip(whole, score(population, presentation, source), strict=True):
        assert after.loss == pytest.approx(before.loss, rel=1e-12)
        assert Score(after.n, after.exact, after.tokens, after.right, before.loss) == before


def test_a_population_is_scored_like_its_members() -> None:
    population, presentation = trained("lstm:depth=1", Reverse, 2)
    source = questions(presentation, 6)
    scores = score(population, presentation, source)
    for replica, expected in enumerate(scores):
        member = load(models("lstm:depth=1", presentation, 1), [population.weights(replica)], "cpu")
        (single,) = score(member, presentation, source)
        assert single == Score(single.n, expected.exact, expected.tokens, expected.right, pytest.approx(expected.loss))
    assert scores[0] != scores[1]


def test_scores_count_targets() -> None:
    population, presentation = trained("lstm:depth=1", Loops)
    source = questions(presentation, 5)
    scored = score(population, presentation, source)[0]
    assert scored.n == ROWS
    assert scored.tokens == int((presentation(source).target != IGNORE).sum())
    assert scored.exact <= scored.n
    assert scored.right <= scored.tokens


def test_tag_tasks_are_scored_at_each_source_position() -> None:
    population, presentation = trained("lstm:depth=1", OddSoFar, 2)
    source = questions(presentation, 6)
    scored = score(population, presentation, source)
    for replica in range(2):
        logits = torch.func.functional_call(population.model, population.weights(replica), (source, None))
        right = (logits.argmax(-1) == presentation(source).target)[:, 1:]
        assert (scored[replica].right, scored[replica].tokens) == (int(right.sum()), 5 * ROWS)
        assert scored[replica].exact == int(right.all(1).sum())


def test_scoring_restores_training_mode() -> None:
    population, presentation = trained("lstm:depth=1", Reverse)
    score(population, presentation, questions(presentation, 3))
    assert population.model.training


def test_fixed_sets_depend_only_on_task_purpose_and_length() -> None:
    presentation = Presentation(build_task(Spec.parse("task", "parity", CATALOG)))
    first = fixed_set(presentation, "parity", "evaluate", 20, 32, CPU)
    assert torch.equal(fixed_set(presentation, "parity", "evaluate", 20, 8, CPU), first[:8])
    assert not torch.equal(fixed_set(presentation, "other", "evaluate", 20, 32, CPU), first)
    assert not torch.equal(fixed_set(presentation, "parity", "validate", 20, 32, CPU), first)
    stream = Stream.of([1], "parity", "train", 20, 32, CPU)
    assert not torch.equal(presentation.task.sample(20, stream), first)
    assert set_hash(presentation(first)) == set_hash(presentation(first.clone())) != set_hash(presentation(first[:8]))


SPACES = {
    ("count", 80): 21,
    ("count", 100): 1,
    ("anbn:ask=sets", 60): 31,
    ("parity", 1): 2,
    ("parity", 9): 512,
    ("parity", 10): 1024,
    ("parity", 40): 2000,
}
"""The number of distinct questions of a length, at most 2,000."""


@pytest.mark.parametrize(("task", "length"), SPACES)
def test_a_test_set_has_every_question_of_a_small_space_once(task: str, length: int) -> None:
    """Of 2,000 rows, ``count`` repeated 21 questions at length 80 and one at 100, and Wilson's n was 2,000."""
    presentation = Presentation(build_task(Spec.parse("task", task, CATALOG)))
    questions = distinct_set(presentation, task, length, 2000, CPU)
    assert len(questions) == len(questions.unique(dim=0)) == SPACES[task, length]


@pytest.mark.parametrize("task", ["parity", "count", "reverse"])
def test_fewer_rows_are_the_first_ones_of_more(task: str) -> None:
    presentation = Presentation(build_task(Spec.parse("task", task, CATALOG)))
    for length in (3, 7, 20):
        large = distinct_set(presentation, task, length, 300, CPU)
        for rows in (1, 2, 8, 50):
            assert torch.equal(distinct_set(presentation, task, length, rows, CPU), large[:rows])


def test_a_test_set_without_repeats_is_the_stream() -> None:
    """Test sets of earlier versions did not change where no question was repeated."""
    presentation = Presentation(build_task(Spec.parse("task", "parity", CATALOG)))
    stream = fixed_set(presentation, "parity", "evaluate", 60, 500, CPU)
    assert torch.equal(distinct_set(presentation, "parity", 60, 500, CPU), stream)
    drawn = map(tuple, fixed_set(presentation, "parity", "evaluate", 5, 500, CPU).tolist())
    assert [tuple(q) for q in distinct_set(presentation, "parity", 5, 500, CPU).tolist()] == list(dict.fromkeys(drawn))


def test_rare_questions_end_the_search() -> None:
    """A space whose questions are ever rarer is not searched without end."""

    class Rare(Reverse):
        def sample(self, length: int, stream: Stream) -> Tensor:
            draws.append(stream.rows)
            return (stream.uniform(1) < 0.5 ** torch.arange(1, 41)).long().sum(1, keepdim=True)

    draws: list[int] = []
    questions = distinct_set(Presentation(Rare()), "rare", 1, 100, CPU)
    assert 8 <= len(questions) < 40
    assert sum(draws) <= 64 * 100 + 100


def test_wide_rows_are_hashed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = torch.randint(3, (50, 4), generator=torch.Generator().manual_seed(0))
    whole = question_hashes(source), first_occurrences(source)
    monkeypatch.setattr(harness.data.questions, "HASHED_AT_ONCE", 12)
    assert torch.equal(question_hashes(source), whole[0])
    assert torch.equal(first_occurrences(source), whole[1])
    assert [tuple(row) for row in whole[1].tolist()] == list(dict.fromkeys(map(tuple, source.tolist())))


ANALYTIC = {
    ("parity", 1): (1 / 2, 1 / 2),
    ("parity", 20): (1 / 2, 1 / 2),
    ("majority", 8): (1 / 2, 1 / 2),
    ("reverse", 1): (1 / 4, (1 / 4 + 1) / 2),  # END is always right
    ("reverse", 3): (1 / 64, (3 / 4 + 1) / 4),
    ("count:numbers=8", 8): (1, 1),
    ("count:numbers=8", 1): (1 / 8, (1 / 8 + 1) / 2),
    ("addition:base=2", 1): (1 / 2, (3 / 4 + 1 / 2 + 1) / 3),  # 00, 01, 01, 10: the constant 01 END
}


def test_chance_of_a_task_that_grades_itself_ends_a_guess_at_its_first_end() -> None:
    """Without this, a constant guess with END at every second position scored 0.97 at length 5."""
    task = "parity_scratchpad:hints=20,scratchpad=ones"
    presentation = Presentation(build_task(Spec.parse("task", task, CATALOG)))
    assert 0.1 < chance(presentation, task, 5).exact < 0.34


@pytest.mark.parametrize(("task", "length"), ANALYTIC)
def test_chance_has_its_exact_value(task: str, length: int) -> None:
    presentation = Presentation(build_task(Spec.parse("task", task, CATALOG)))
    exact, token = ANALYTIC[task, length]
    measured = chance(presentation, task, length, 8192)
    assert measured.exact == pytest.approx(exact, abs=0.03)
    assert measured.token == pytest.approx(token, abs=0.03)
