"""Stages: their losses against independent forms, what they may read, and resuming within them."""

import doctest
import math
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import harness.config.stages
import harness.report.recipe_tables
from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe, make_recipe
from harness.config.stages import canonical_stages, parse_stages, timeline
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Stream, seed_keys
from harness.errors import UserError
from harness.execution.stage_checks import check_stages
from harness.models.population import Population, build_seeded, cross_entropy
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from harness.training.stages.answers import (
    answer,
    as_batch,
    by_model,
    gumbel,
    right_before_error,
    token_log_probabilities,
)
from harness.training.stages.distill import distillation_loss
from harness.training.stages.grpo import advantages, grpo_loss, reward
from harness.training.stages.masked import mask
from harness.training.stages.pairs import draw_pairs, pair_losses
from harness.training.stages.ppo import advantages as token_advantages
from harness.training.stages.ppo import standardized
from harness.training.stages.sampled import clipped_gain
from harness.training.stages.self_improve import without_short_answers
from harness.training.stages.state_passing import Reader, state_obstacle
from harness.training.stages.supervised import as_sequence
from harness.training.trainer import Trainer
from tasks.base import IGNORE

CATALOG = Catalog()
TASK = Spec.parse("task", "reverse:alphabet=2", CATALOG)
LSTM = Spec.parse("architecture", "lstm:width=8,depth=1", CATALOG)
EVERY_KIND = [
    "supervised:predict=sequence + supervised:lengths=1:2,train=output",
    "supervised + state_passing:fresh=0.3",
    "masked:task=duplicate_string + supervised:train=last",
    "supervised + self_improve:rounds=2,questions=16,agree=2",
    "supervised + dpo:rank=2,train=lora",
    "supervised + dpo:pairs=sampled",
    "supervised + grpo:answers=4,reuse=3,reward=prefix",
    "supervised + ppo:reuse=3,reward_steps=4",
    "distill:teacher=[gru:width=8,depth=1],teacher_steps=4,to=5",
]


def recipe_of(stages: str, **keys: object) -> Recipe:
    shared = {"steps": 12, "batch_size": 8, "train_lengths": "1:3", "warmup": 0, "validations": 2}
    return make_recipe(shared | {"stages": stages} | keys)


def trainer_of(stages: str, seeds: tuple[int, ...] = (0, 1), rate: float = 0.01, **keys: object) -> Trainer:
    recipe = recipe_of(stages, **keys)
    presentation = Presentation.of(TASK, recipe)
    population = Population([build_seeded(LSTM, presentation.symbols, seed) for seed in seeds])
    cells = tuple(Cell(LSTM, TASK, recipe, rate, seed) for seed in seeds)
    return Trainer(population, Group(cells), presentation, lambda step, loss: None)


# Pipelines


def test_a_pipeline_has_one_text_and_divides_all_steps() -> None:
    text = canonical_stages("supervised  +  dpo:rate=1.0,pairs=sampled")
    assert text == canonical_stages(text) == "supervised + dpo:pairs=sampled"
    for steps in (1, 2, 7, 100):
        parts = timeline("masked:share=0.1 + supervised + dpo", steps)
        assert [part.first for part in parts] == [0, *(part.last for part in parts[:-1])]
        assert parts[-1].last == steps


@pytest.mark.parametrize("module", [harness.config.stages, harness.report.recipe_tables])
def test_examples_in_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("dpoo", "did you mean dpo"),
        ("supervised + dpo:betta=1", "did you mean beta"),
        ("dpo:share=0.7 + supervised:share=0.7", "add up to 1.4"),
        ("masked:task=sort:alphabet=3 + supervised", "choose a task with as many symbols"),
        ("supervised + grpo:answers=3", "for example 9"),
        ("supervised + self_improve:rounds=9", "fewer than its 9 rounds"),
        ("distill:teacher=encoder", "not causal"),
        ("supervised:lengths=2:4", "within the training lengths 1:3"),
    ],
)
def test_impossible_stages_get_one_line(stages: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_stages(TASK, recipe_of(stages))


def test_early_stopping_is_refused() -> None:
    with pytest.raises(UserError, match="stop_when_fitted=true is for one stage"):
        check_stages(TASK, recipe_of("supervised + dpo", stop_when_fitted=True))


# Losses


def test_preferences_are_those_of_a_bradley_terry_model() -> None:
    """The first answer wins with probability e^a / (e^a + e^b); pairs without a preference count nothing."""
    scores = torch.randn(1, 6, generator=torch.manual_seed(0), dtype=torch.float64).requires_grad_()
    preference = torch.tensor([[1.0, -1.0, 0.0]], dtype=torch.float64)
    losses = pair_losses(scores, preference)
    strength = scores[0].exp().view(3, 2)
    wins = strength / strength.sum(1, keepdim=True)
    torch.testing.assert_close(losses[0], torch.stack((-wins[0, 0].log(), -wins[1, 1].log(), 0 * wins[2, 0])))
    gradient = torch.autograd.grad(losses.sum(), scores)[0][0]
    torch.testing.assert_close(gradient[0], -(1 - wins[0, 0]))
    torch.testing.assert_close(gradient[2], 1 - wins[1, 1])
    assert gradient[4:].tolist() == [0, 0]


def test_token_advantages_are_the_weighted_sums_of_surprises() -> None:
    generator = torch.manual_seed(7)
    rewards, values = torch.randn(2, 5, generator=generator), torch.randn(2, 5, generator=generator)
    counted = torch.tensor([[True] * 5, [True, True, True, False, False]])
    computed = token_advantages(rewards, values, counted, 0.9)
    for row, length in enumerate((5, 3)):
        running = 0.0
        for t in reversed(range(length)):
            following = float(values[row, t + 1]) if t + 1 < length else 0.0
            running = float(rewards[row, t]) + following - float(values[row, t]) + 0.9 * running
            assert float(computed[row, t]) == pytest.approx(running, abs=1e-5)
    assert computed[1, 3:].tolist() == [0, 0]
    scaled = standardized(computed[None], counted[None])[0][counted]
    assert scaled.mean() == pytest.approx(0, abs=1e-6)
    assert scaled.std(correction=0) == pytest.approx(1, abs=1e-5)


def test_a_ratio_beyond_the_clip_has_no_gradient_in_the_rewarded_direction() -> None:
    before = torch.zeros(4)
    now = torch.tensor([0.5, -0.5, 0.5, -0.5]).requires_grad_()
    advantage = torch.tensor([1.0, 1.0, -1.0, -1.0])
    gain = clipped_gain(now, before, advantage, 0.2)
    torch.testing.assert_close(gain[:2], torch.tensor([1.2, math.exp(-0.5)]))
    gradient = torch.autograd.grad(gain.sum(), now)[0]
    assert (gradient != 0).tolist() == [False, True, True, False]


def test_a_reward_model_agrees_with_preferences_on_new_questions() -> None:
    trainer = trainer_of("supervised + ppo:reward_steps=150,rate=0", seeds=(0,), rate=0.02, batch_size=32)
    while trainer.done < 7:
        trainer.step()
    setting = trainer.stage.setting
    batch, preference = draw_pairs(setting, setting.batches.keys, 10**6, 3, "truth")
    first, second = trainer.stage.reward_model.of_answers(batch)[0].view(-1, 2).unbind(1)
    agrees = ((first - second).sign() == preference[0])[preference[0] != 0]
    assert len(agrees) > 10
    assert agrees.double().mean() > 0.85


def test_grpo_loss_is_equation_3_token_by_token() -> None:
    generator = torch.manual_seed(1)
    now, before, first = torch.randn(3, 4, 3, generator=generator, dtype=torch.float64)
    advantage = torch.tensor([[1.0], [-1.0], [2.0], [0.0]], dtype=torch.float64)
    losses = grpo_loss(now, before, first, advantage, clip=0.2, beta=0.5)
    for row in range(4):
        for token in range(3):
            ratio = math.exp(now[row, token] - before[row, token])
            clipped = max(0.8, min(1.2, ratio))
            a = float(advantage[row])
            log_ratio = float(first[row, token] - now[row, token])
            expected = -min(ratio * a, clipped * a) + 0.5 * (math.exp(log_ratio) - log_ratio - 1)
            assert float(losses[row, token]) == pytest.approx(expected)


def test_on_new_samples_the_gradient_is_that_of_reinforce() -> None:
    now = torch.randn(6, dtype=torch.float64, generator=torch.manual_seed(2)).requires_grad_()
    advantage = torch.randn(6, dtype=torch.float64, generator=torch.manual_seed(3))
    loss = grpo_loss(now, now.detach(), now.detach(), advantage, clip=0.2, beta=0.1).sum()
    torch.testing.assert_close(torch.autograd.grad(loss, now)[0], -advantage)


def test_distillation_is_the_divergence_of_the_teacher_and_needs_no_more_than_asked_tokens() -> None:
    logits = torch.randn(2, 2, 3, 4, 5, generator=torch.manual_seed(4))
    student, teacher = F.log_softmax(logits / 2.0, dim=-1)
    asked = torch.rand(2, 3, 4, generator=torch.manual_seed(5)) < 0.5
    loss = distillation_loss(student, teacher, asked, 2.0)
    for model in range(2):
        tokens = asked[model]
        expected = F.kl_div(student[model][tokens], teacher[model][tokens], reduction="batchmean", log_target=True)
        torch.testing.assert_close(loss[model], 4.0 * expected)


def test_masks_have_the_shares_of_bert() -> None:
    source = torch.full((4000, 16), 3)
    batch = mask(source, Stream.of([0], "t", "x", 0, 4000, "cpu"), 0.15, blank=7, symbols=7)
    hidden = batch.target != IGNORE
    assert (batch.target[hidden] == 3).all()
    assert (batch.source[~hidden] == 3).all()
    assert hidden.double().mean() == pytest.approx(0.15, abs=0.01)
    assert (batch.source[hidden] == 7).double().mean() == pytest.approx(0.8, abs=0.01)
    assert (batch.source[hidden] == 3).double().mean() == pytest.approx(0.1 + 0.1 / 7, abs=0.01)


def test_a_sequence_asks_for_each_next_token() -> None:
    presentation = Presentation(build_task(TASK))
    batch = presentation(torch.tensor([[0, 1, 1]]))
    sequence = as_sequence(batch)
    start, end = presentation.special("<start>"), presentation.special("<end>")
    assert sequence.source.tolist() == [[0]]
    assert sequence.prefix is not None
    assert sequence.prefix.tolist() == [[1, 1, start, 1, 1, 0]]
    assert sequence.target.tolist() == [[1, start, 1, 1, 0, end]]


# Answers and rewards


def test_answers_are_those_of_token_by_token_decoding() -> None:
    presentation = Presentation(build_task(TASK))
    models = [build_seeded(LSTM, presentation.symbols, seed) for seed in (0, 1)]
    keys = seed_keys([0, 1], "t", "x", "cpu")
    source = presentation.task.sample(4, Stream.from_keys(keys, 0, 6))
    batch = presentation(source)
    noise = gumbel(keys, 0, 6, batch.target.shape[1], len(presentation.symbols))
    for extra in (None, noise):
        tokens = answer(Population(models), batch, "generate", extra).view(2, 6, -1)
        for index, model in enumerate(models):
            assert torch.equal(tokens[index], decoded(model, batch, index, extra, presentation))


@torch.no_grad()
def decoded(model: torch.nn.Module, batch: Batch, index: int, noise: Tensor | None, asked: Presentation) -> Tensor:
    """Return one model's answers to its 6 questions, with its own tokens fed back one by one."""
    model.eval()
    rows = slice(6 * index, 6 * index + 6)
    prefix = torch.full((6, 1), asked.special("<start>"))
    for position in range(batch.target.shape[1]):
        logits = model(batch.source[rows], prefix)[:, -1]
        token = (logits if noise is None else logits + noise[index, :, position]).argmax(-1, keepdim=True)
        prefix = torch.cat((prefix, token), dim=1)
    return prefix[:, 1:]


def test_samples_have_the_probabilities_of_the_model() -> None:
    logits = torch.tensor([0.1, 1.2, -0.7])
    draws = (logits + gumbel(seed_keys([0], "t", "x", "cpu"), 0, 20000, 1, 3)).argmax(-1).flatten()
    torch.testing.assert_close(draws.bincount(minlength=3) / 20000, logits.softmax(0), atol=0.015, rtol=0)


def test_only_right_tokens_are_rewarded_never_length() -> None:
    """What follows END, and every answer that is wrong from its first token on, earns nothing."""
    presentation = Presentation(build_task(TASK))
    end = presentation.special("<end>")
    batch = presentation(torch.tensor([[0, 1, 1]]).expand(5, -1))
    answers = torch.tensor([[1, 1, 0, end], [1, 1, end, end], [1, end, 0, end], [0, 1, 0, end], [0, 0, 0, 0]])
    masks = presentation.grade(batch.source, batch.target, answers)
    assert right_before_error(*masks).tolist() == [4, 2, 1, 0, 0]
    assert reward(*masks, "exact").tolist() == [1, 0, 0, 0, 0]
    assert reward(*masks, "prefix").tolist() == [1, 0.5, 0.25, 0, 0]
    assert as_batch(presentation, batch, answers).target[2].tolist() == [1, end, IGNORE, IGNORE]


def test_a_group_of_equal_rewards_has_no_advantage() -> None:
    values = advantages(torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]))
    assert values[0].tolist() == [0, 0, 0]
    assert values[1].sum() == pytest.approx(0, abs=1e-6)


def test_log_probabilities_are_those_of_the_softmax() -> None:
    logits, target = torch.randn(2, 3, 4, generator=torch.manual_seed(6)), torch.tensor([[0, 3, IGNORE], [1, 1, 2]])
    expected = logits.log_softmax(-1).gather(-1, target.clamp(min=0)[..., None])[..., 0] * (target != IGNORE)
    torch.testing.assert_close(token_log_probabilities(logits, target), expected)


def test_short_answers_are_dropped_for_each_model() -> None:
    target = torch.tensor([[[1, 1, 1], [1, IGNORE, IGNORE]], [[1, IGNORE, IGNORE], [1, 1, IGNORE]]])
    kept = without_short_answers(Batch(target, None, target), 1).target
    assert (kept != IGNORE).any(-1).tolist() == [[True, False], [True, True]]


# State passing


@pytest.mark.parametrize("architecture", ["lstm", "mingru", "mamba", "gated_deltanet", "rwkv7"])
def test_states_are_passed_from_row_to_row_without_gradients(architecture: str) -> None:
    """The logits are those of one long row, of which only the last part is differentiated."""
    model = build_seeded(Spec.parse("architecture", f"{architecture}:width=16,depth=2", CATALOG), tuple("abcd"), 0)
    assert state_obstacle(model) is None
    earlier, later = torch.randint(4, (2, 3, 5), generator=torch.manual_seed(8))
    reader = Reader(model)
    _, ends = reader(reader.zero_states(earlier), earlier, None)
    logits, _ = reader([end.detach() for end in ends], later, None)
    whole = model(torch.cat((earlier, later), dim=1), None)[:, 5:]
    torch.testing.assert_close(logits, whole, atol=1e-4, rtol=1e-3)
    alone, _ = reader(reader.zero_states(later), later, None)
    torch.testing.assert_close(alone, model(later, None), atol=1e-4, rtol=1e-3)
    assert not torch.allclose(alone, logits, atol=1e-3)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("transformer", "grows with the number of tokens"),
        ("encoder", "as one stream"),
        ("lstm_encdec", "as one stream"),
    ],
)
def test_a_state_that_cannot_be_passed_is_refused(architecture: str, reason: str) -> None:
    model = build_seeded(Spec.parse("architecture", architecture, CATALOG), tuple("abcd"), 0)
    assert reason in str(state_obstacle(model))


# Trainings


def test_self_improvement_reads_no_right_answer_beyond_the_training_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """With wrong values from ``solve`` at longer lengths, the training is the same bit by bit."""
    stages = "supervised + self_improve:rounds=2,questions=16"
    plain = trainer_of(stages).run().population.values.clone()
    trainer = trainer_of(stages)
    task = trainer.presentation.task
    solve = task.solve
    monkeypatch.setattr(
        task, "solve", lambda source: solve(source) if source.shape[1] <= 3 else torch.zeros_like(solve(source))
    )
    assert torch.equal(trainer.run().population.values, plain)


@pytest.mark.parametrize("stages", EVERY_KIND)
def test_a_stage_resumes_bit_for_bit_alone_and_in_a_population(stages: str) -> None:
    whole = trainer_of(stages)
    whole.run()
    stopped = trainer_of(stages)
    while stopped.done < 8:
        stopped.step()
        stopped.attended = stopped.done
    resumed = trainer_of(stages)
    resumed.load_state_dict(stopped.state_dict())
    resumed.run()
    assert torch.equal(resumed.population.values, whole.population.values)
    alone = trainer_of(stages, seeds=(1,))
    alone.load_state_dict(stopped.state_dict().part(slice(1, 2)))
    torch.testing.assert_close(alone.run().population.values[0], whole.population.values[1], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "kind", ["dpo", "grpo:answers=4", "ppo", "state_passing", "self_improve:rounds=2,questions=8", "masked"]
)
def test_a_stage_without_steps_or_rate_changes_no_weight(kind: str) -> None:
    first = trainer_of("", steps=6, schedule="constant").run().population.values
    separator = "," if ":" in kind else ":"
    second = trainer_of(f"supervised + {kind}{separator}rate=0", schedule="constant").run().population.values
    assert torch.equal(first, second)
    none = trainer_of(f"supervised + {kind}{separator}share=0", schedule="constant", steps=6).run().population.values
    assert torch.equal(first, none)


def test_only_the_chosen_parameters_change() -> None:
    trainer = trainer_of("supervised + supervised:train=output")
    while trainer.done < 6:
        trainer.step()
    unpack = trainer.population.layout.unpack
    before = unpack(trainer.population.values[0].detach().clone())
    trainer.step()
    after = unpack(trainer.population.values[0].detach())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith(("head.", "norm."))}


def test_low_rank_updates_have_their_rank_and_change_nothing_else() -> None:
    trainer = trainer_of("supervised + supervised:rank=2,train=lora")
    while trainer.done < 6:
        trainer.step()
    unpack = trainer.population.layout.unpack
    before = unpack(trainer.population.values[0].detach().clone())
    while trainer.done < 10:
        trainer.step()
    for name, after in unpack(trainer.population.values[0].detach()).items():
        change = after - before[name]
        if name.startswith("layers.") and change.dim() == 2:
            assert torch.linalg.matrix_rank(change, atol=1e-6) == 2, name
        else:
            assert not change.any(), name


def test_low_rank_gradients_are_those_of_autograd() -> None:
    trainer = trainer_of("supervised + supervised:rank=2,train=lora", seeds=(0, 1, 2), clip=0)
    updates, population, batch = trainer.pipeline.at(6).low_rank, trainer.population, trainer.batches(0)
    assert updates is not None
    with torch.no_grad():
        updates.values.copy_(torch.randn(updates.values.shape, generator=torch.manual_seed(9)))
    start = updates.start = population.values.detach().clone()
    source, prefix, target = by_model(batch, 3)
    losses = cross_entropy(population.logits(source, prefix, updates.summed(start)), target)
    expected = torch.autograd.grad(losses.sum(), updates.values)[0]
    with torch.no_grad():
        population.values.copy_(updates.summed(start))
    population.backward(population.losses(batch))
    updates.update(trainer.optimizer, torch.zeros(3, 1))
    torch.testing.assert_close(updates.grads, expected)


@pytest.mark.parametrize(
    ("stages", "keys"),
    [
        ("supervised + grpo:share=0.9", {"steps": 200, "batch_size": 16, "validations": 10, "train_lengths": "1:2"}),
        ("supervised + dpo:share=0.8", {"steps": 200, "batch_size": 16, "validations": 10, "train_lengths": "1:2"}),
        ("supervised + ppo:reward_steps=100", {"steps": 120, "batch_size": 32, "validations": 4}),
    ],
)
def test_preference_learning_raises_the_share_of_right_answers(stages: str, keys: dict[str, object]) -> None:
    curve = trainer_of(stages, seeds=(0,), schedule="constant", **keys).run().models[0].curve
    exact = [point["validation_exact"] for point in curve if "validation_exact" in point]
    assert exact[-1] > exact[1], exact


def test_every_kind_of_stage_has_an_example_here() -> None:
    kinds = {stage.kind for text in EVERY_KIND for stage in parse_stages(text)}
    assert kinds == {"supervised", "masked", "self_improve", "dpo", "grpo", "ppo", "distill", "state_passing"}
