"""State passing: each row begins in the state in which an earlier row ended (Buitrago Ruiz and Gu 2025, section 4).

A recurrent model that was trained from the zero state only has not seen the states that a long input leads to. Here the
state at the end of a row is the first state of a row of the next batch. Gradients do not go back into the earlier row.
States therefore come from arbitrarily long inputs, at the cost of short ones. A share of the rows begins at zero.

Rows are read by steps, since a state can be given to no other form of all architectures.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_flatten, tree_unflatten

from architectures.base import SequenceModel, state_bytes
from architectures.language_model import LanguageModel
from architectures.parts.kernels import replicas_ride_along
from harness.config.stages import Part, StatePassing
from harness.data.presentation import Batch
from harness.data.rng import Stream, fold_in, text_key
from harness.training.stages.answers import by_model
from harness.training.stages.base import StageTrainer
from harness.training.stages.setting import Setting

FRESH = text_key("rows that begin at zero")


class StatePassingTrainer(StageTrainer[StatePassing]):
    """Right answers, from the states of earlier rows.

    Attributes:
        states: at the ends of the rows of the last batch, tensors ``[R, B, ...]``; empty before the first one.
    """

    def __init__(self, setting: Setting, part: Part, stage: StatePassing) -> None:
        super().__init__(setting, part, stage)
        self.reader = Reader(self.population.model)
        self.states: list[Tensor] = []
        self.is_fresh = torch.ones(0, dtype=torch.bool)

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of a step, and draw which of its rows begin at zero."""
        keys = fold_in(self.setting.batches.keys, FRESH)
        place = Stream.from_keys(keys, step, self.recipe.batch_size).uniform(1)
        self.is_fresh = (place < self.stage.fresh).view(len(keys), -1)
        return super().draw(step, length)

    def losses(self, batch: Batch) -> Tensor:
        """Return the loss of each model, and keep the states at the ends of the rows."""
        source, prefix, target = by_model(batch, self.population.size)
        numerics, device = self.population.numerics, self.setting.device
        logits = numerics.forward(self._read, device, source, prefix).to(self.population.values)
        return self.loss(logits, target)

    def _read(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return the logits of all models, ``[R, B, T, V]``."""
        population, started = self.population, list(self.reader.zero_states(source[0]))
        zeros = [zero.expand(population.size, *zero.shape) for zero in started]
        states = [blend(self.is_fresh, *pair) for pair in zip(zeros, self.states or zeros, strict=True)]
        if population.size == 1:
            given = None if prefix is None else prefix[0]
            logits, ends = self.reader([state[0] for state in states], source[0], given)
            self.states = [end[None].detach() for end in ends]
            return logits[None]
        with replicas_ride_along():
            call = vmap(self._call, in_dims=(0, 0, 0, 0, None if prefix is None else 0), randomness="different")
            logits, ends = call(population.values, dict(population.untrained), states, source, prefix)
        self.states = [end.detach() for end in ends]
        return logits

    def _call(
        self, row: Tensor, untrained: dict[str, Tensor], states: list[Tensor], source: Tensor, prefix: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        population = self.population
        named = {**population.layout.unpack(row), **untrained}
        tensors = {f"model.{alias}": tensor for name, tensor in named.items() for alias in population.aliases[name]}
        result: tuple[Tensor, list[Tensor]] = functional_call(
            self.reader, tensors, (states, source, prefix), tie_weights=False
        )
        return result

    def state(self) -> dict[str, Tensor]:
        """Return the states at the ends of the rows of the last batch."""
        return {str(index): tensor for index, tensor in enumerate(self.states)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        self.states = [state[str(index)].to(self.setting.device) for index in range(len(state))]


class Reader(nn.Module):
    """Reads rows by steps, from given states of the layers.

    Args:
        model: a language model whose states are tensors with one row for each sequence.
    """

    def __init__(self, model: SequenceModel) -> None:
        super().__init__()
        self.model = model

    @torch.no_grad()
    def zero_states(self, source: Tensor) -> list[Tensor]:
        """Return the tensors of the states before the first token of ``[B, S]``."""
        leaves, self.structure = tree_flatten(self.model.start(source[:, :0]))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    def forward(self, states: list[Tensor], source: Tensor, prefix: Tensor | None) -> tuple[Tensor, list[Tensor]]:
        """Return the logits at the prefix, or at the source without one, ``[B, T, V]``, and the last states."""
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        numbers = [0, source.shape[1]]  # of tokens that were read, and of the source, as in ``LanguageModel.start``
        state: Any = tree_unflatten([*numbers, *states], self.structure)
        logits = []
        for token in tokens.unbind(1):
            output, state = self.model.step(token, state)
            logits.append(output)
        ends = [leaf for leaf in tree_flatten(state)[0] if isinstance(leaf, Tensor)]
        return torch.stack(logits if prefix is None else logits[source.shape[1] :], dim=1), ends


def blend(is_fresh: Tensor, zero: Tensor, passed: Tensor) -> Tensor:
    """Return the passed states ``[R, B, ...]`` with zero states in the rows ``[R, B]`` that begin there."""
    return torch.where(is_fresh.view(*is_fresh.shape, *(1,) * (zero.dim() - 2)), zero, passed)


@torch.no_grad()
def state_obstacle(model: SequenceModel) -> str | None:
    """Return why no state can be passed to a model; ``None`` if one can."""
    if not isinstance(model, LanguageModel) or not model.can_step:
        return "it does not read question and answer as one stream, token by token, into a state"
    device = next(model.parameters()).device
    states = [model.start(torch.zeros(3, length, dtype=torch.long, device=device)) for length in (4, 5)]
    if state_bytes(states[0]) != state_bytes(states[1]):
        return "its state grows with the number of tokens"
    tensors = tree_flatten(states[0])[0][2:]
    if not all(isinstance(tensor, Tensor) and tensor.shape[:1] == (3,) for tensor in tensors):
        return "its state has other parts than tensors with one row for each sequence"
    return None
