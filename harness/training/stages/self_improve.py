"""Self-improvement: the model learns from its own answers to longer questions (Lee et al. 2025, arXiv 2502.01612).

At the beginning of each round the model answers questions that are longer than those of the round before. Answers that
are cut off or too short are dropped. In the steps of the round it learns from right answers at the training lengths, as
before, and from its own answers at the longer ones; all lengths are equally frequent. Answers of earlier rounds stay as
they are. No right answer is computed beyond the training lengths: of ``solve`` only the shape of the result is used.
"""

import torch
from torch import Tensor

from harness.config.stages import Part, SelfImprove
from harness.data.presentation import Batch
from harness.data.rng import Stream, fold_in, text_key
from harness.data.step_lengths import train_lengths
from harness.training.custom import factors
from harness.training.stages.answers import answer, as_batch, ask
from harness.training.stages.base import StageTrainer
from harness.training.stages.setting import Setting
from tasks.base import IGNORE

QUESTIONS, LENGTHS, MEMBERS = text_key("self-labelled questions"), text_key("lengths"), text_key("members")
AT_ONCE = 256
"""Questions that are answered at once."""


class SelfImproveTrainer(StageTrainer[SelfImprove]):
    """Rounds of answering longer questions and learning from the answers.

    Attributes:
        pools: for each length beyond training the questions and the models' answers as a batch ``[R, N, ...]``; the
            target of a dropped answer is ``IGNORE`` everywhere.
        earlier: parameters at the ends of the last rounds, float ``[R, P]``, the newest last.
    """

    def __init__(self, setting: Setting, part: Part, stage: SelfImprove) -> None:
        super().__init__(setting, part, stage)
        self.in_range = train_lengths(self.presentation.task, self.recipe)
        self.pools: dict[int, Batch] = {}
        self.earlier: list[Tensor] = []

    @property
    def rounds(self) -> list[int]:
        """The first step of each round, and the last step of the stage."""
        count = min(self.stage.rounds, self.part.steps)
        return [self.part.first + round(index * self.part.steps / count) for index in range(count + 1)]

    def new_lengths(self, number: int) -> list[int]:
        """Return the lengths that the round with this number, counted from 0, adds."""
        first, lengths = self.in_range[-1] + 1 + number * self.stage.extend, self.presentation.task.lengths
        return [length for length in range(first, first + self.stage.extend) if length in lengths]

    def prepare(self, step: int) -> None:
        """At the beginning of a round, answer the questions of its lengths."""
        if step not in self.rounds[:-1]:
            return
        for length in self.new_lengths(self.rounds.index(step)):
            self.pools[length] = self._answered(length)
        if self.stage.agree > 1:
            self.earlier = [*self.earlier, self.population.values.detach().clone()][1 - self.stage.agree :]

    def length(self, step: int) -> int:
        """Return the length of a step, uniform over the training lengths and those with answers of the models."""
        choices = [*self.in_range, *self.pools]
        key = fold_in(torch.tensor([text_key(str(self.setting.group.first.task))]), LENGTHS)
        return choices[int(Stream.from_keys(key, step, 1).integers(len(choices), 1))]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return right answers to new questions at a training length, and the models' answers at a longer one."""
        if length not in self.pools:
            return self.setting.batches.draw(step, length)
        pool, keys = self.pools[length], fold_in(self.setting.batches.keys, MEMBERS)
        kept = (pool.target != IGNORE).any(-1)
        place = Stream.from_keys(keys, step, self.recipe.batch_size).uniform(1).view(len(keys), -1)
        chosen = (place * kept.sum(1, keepdim=True)).long()
        member = kept.int().argsort(dim=1, descending=True, stable=True).gather(1, chosen)
        return pool.map(lambda x: _rows(x, member))

    def _answered(self, length: int) -> Batch:
        """Return questions of a length with each model's answers, ``[R, N, ...]``."""
        keys, models = fold_in(self.setting.batches.keys, QUESTIONS), self.population.size
        questions = self.presentation.task.sample(length, Stream.from_keys(keys, length, self.stage.questions))
        chunks = questions.unflatten(0, (models, -1)).split(AT_ONCE, dim=1)
        parts = [self._own_answers(ask(self.presentation, chunk.flatten(0, 1))) for chunk in chunks]
        joined = _joined(parts, models)
        return without_short_answers(joined, self.stage.shorter) if self.presentation.mode == "generate" else joined

    def _own_answers(self, asked: Batch) -> Batch:
        """Return the questions with the models' answers as targets; ``IGNORE`` everywhere in an answer to drop."""
        mode = self.presentation.mode
        tokens = answer(self.population, asked, mode)
        batch = as_batch(self.presentation, asked, tokens)
        dropped = torch.zeros_like(tokens[:, 0], dtype=torch.bool)
        if mode == "generate":
            dropped = ~(tokens == self.presentation.special("<end>")).any(-1)
        for values in self.earlier:
            others = as_batch(self.presentation, asked, answer(self.population, asked, mode, values=values))
            dropped |= (others.target != batch.target).any(-1)
        return batch._replace(target=batch.target.masked_fill(dropped[:, None], IGNORE))

    def rate_factors(self) -> list[float]:
        """Return the learning rates: each round has the recipe's schedule, without warm-up."""
        rates: list[float] = []
        for first, last in zip(self.rounds, self.rounds[1:], strict=False):
            rates += factors(self.recipe.model_copy(update={"steps": last - first, "warmup": 0}))
        return [self.stage.rate * factor for factor in rates]

    def checkpoints(self) -> set[int]:
        """Return the last step of each round."""
        return set(self.rounds[1:])

    def state(self) -> dict[str, Tensor]:
        """Return the answers so far and the parameters at the ends of the last rounds."""
        answers = {
            f"{length} {name}": x
            for length, pool in self.pools.items()
            for name, x in pool._asdict().items()
            if x is not None
        }
        return answers | {f"earlier {index}": values for index, values in enumerate(self.earlier)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        lengths = sorted({int(name.split()[0]) for name in state if not name.startswith("earlier")})
        stored = {name: x.to(self.setting.device) for name, x in state.items()}
        self.pools = {
            n: Batch(stored[f"{n} source"], stored.get(f"{n} prefix"), stored[f"{n} target"]) for n in lengths
        }
        self.earlier = [stored[f"earlier {i}"] for i in range(sum(name.startswith("earlier") for name in stored))]


def without_short_answers(pool: Batch, shorter: int) -> Batch:
    """Drop the answers that are more than ``shorter`` tokens shorter than the longest of the same model."""
    sizes = (pool.target != IGNORE).sum(-1)
    short = sizes < sizes.amax(1, keepdim=True) - shorter
    return pool._replace(target=pool.target.masked_fill(short[..., None], IGNORE))


def _joined(parts: list[Batch], models: int) -> Batch:
    """Return batches of ``R x B`` rows as one, ``[R, N, ...]``."""
    source, prefix, target = zip(*(part.map(lambda x: x.unflatten(0, (models, -1))) for part in parts), strict=True)
    return Batch(torch.cat(source, 1), None if prefix[0] is None else torch.cat(prefix, 1), torch.cat(target, 1))


def _rows(tensor: Tensor, member: Tensor) -> Tensor:
    """Return the chosen rows of each model, ``[R * B, T]``, from ``[R, N, T]`` and ``[R, B]``."""
    return tensor.gather(1, member[..., None].expand(-1, -1, tensor.shape[-1])).flatten(0, 1)
