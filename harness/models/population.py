"""A population: models of one architecture that differ in seed and learning rate, trained as one program.

The trained parameters of all models are the rows of one matrix, and so are their gradients. Frozen parameters and
buffers are stacked tensor by tensor. A population of one calls its module directly. A larger population runs the module
under ``torch.func.vmap`` over the rows, followed by one ``backward``. A module that vmap cannot batch raises an error
here; the harness then trains its models one by one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, vmap

from architectures.base import SequenceModel
from architectures.parts.kernels import replicas_ride_along
from harness.data.presentation import Batch
from harness.data.rng import fold_in, text_key
from harness.models.precision import FLOAT32, Numerics
from harness.models.tensors import (
    RowLayout,
    aliases,
    as_real,
    replace_tensor,
    stored_names,
    trained_parameters,
    training_obstacle,
    untrained_tensors,
)
from harness.registry.options import Spec, build_model
from tasks.base import IGNORE

Loss = Callable[[Tensor, Tensor], Tensor]
"""Returns the loss of each model ``[R]`` from logits ``[R, B, T, V]`` and targets ``[R, B, T]``."""


class Population:
    """``R`` models that are computed together.

    Args:
        models: freshly built modules of one architecture; their tensors are copied.
        device: the device of all tensors.
        numerics: the number format of forwards; logits always have the format of the parameters.

    Attributes:
        values, grads: trained parameters and their gradients, float ``[R, P]``.
        untrained: frozen parameters and buffers by name, ``[R, ...]``.

    A forward works on copies of the untrained tensors. What it changed in them in training is written back by
    :meth:`keep_changes`; in evaluation it is discarded.

    Raises:
        ValueError: parameters cannot be trained; the message says why.
    """

    def __init__(
        self, models: Sequence[SequenceModel], device: torch.device | str = "cpu", numerics: Numerics = FLOAT32
    ) -> None:
        if reason := training_obstacle(models[0]):
            raise ValueError(reason)
        self.size, self.model, self.numerics = len(models), models[0].to(device), numerics
        self.layout = RowLayout.of(trained_parameters(self.model))
        self.values = torch.stack([self.layout.pack(trained_parameters(model)).to(device) for model in models])
        self.grads = torch.zeros_like(self.values)
        self.untrained = _stack([untrained_tensors(model.to(device)) for model in models])
        self.stored, self.aliases = stored_names(self.model), aliases(self.model)
        self.changes: dict[str, Tensor] = {}
        self._connect()

    def _connect(self) -> None:
        """Make autograd read its parameters from ``values`` and write gradients into ``grads``, in place."""
        if self.size > 1:
            self.values.requires_grad_().grad = self.grads
            return
        # The only model runs without vmap, so the module's own parameters must be views of the matrix.
        self.bind(0)
        grads = self.layout.unpack(self.grads[0])
        for name, parameter in trained_parameters(self.model).items():
            parameter.grad = grads[name]

    def bind(self, index: int) -> None:
        """Make the tensors of the module views of those of one model."""
        rows = {name: tensor[index] for name, tensor in self.untrained.items()}
        for name, tensor in {**self.layout.unpack(self.values[index].detach()), **rows}.items():
            for alias in self.aliases[name]:
                replace_tensor(self.model, alias, tensor)

    def read_back(self, index: int) -> None:
        """Copy the untrained tensors of the module, which may have been replaced, to those of one model."""
        tensors = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        for name, stored in self.untrained.items():
            stored[index].copy_(_in_format(name, tensors.get(name), stored[index]))

    def train(self, mode: bool = True) -> None:
        """Switch dropout and random positions on or off."""
        self.model.train(mode)

    def logits(self, source: Tensor, prefix: Tensor | None, values: Tensor | None = None) -> Tensor:
        """Return logits ``[R, B, T, V]`` for a source long ``[R, B, S]`` and a prefix ``[R, B, T]``, or None.

        ``values`` ``[R, P]`` are used in place of the models' parameters.
        """
        return self.numerics.forward(self._logits, self.values.device, source, prefix, values).to(self.values)

    def _logits(self, source: Tensor, prefix: Tensor | None, values: Tensor | None = None) -> Tensor:
        if self.size == 1 and not self.untrained and values is None:
            return self.model(source[0], None if prefix is None else prefix[0])[None]
        untrained = {name: tensor.clone() for name, tensor in self.untrained.items()}
        if self.size == 1:
            only = {name: tensor[0] for name, tensor in untrained.items()}
            row = None if values is None else values[0]
            logits, after = self._call(row, only, source[0], None if prefix is None else prefix[0])
            logits, after = logits[None], {name: t if t is None else t[None] for name, t in after.items()}
        else:
            # Fused operators that vmap cannot batch are replaced by their plain form in this context.
            with replicas_ride_along():
                # Each model takes its own row, tensors and batch. Dropout masks differ between models.
                call = vmap(self._call, in_dims=(0, 0, 0, None if prefix is None else 0), randomness="different")
                logits, after = call(self.values if values is None else values, untrained, source, prefix)
        if self.model.training:
            self.changes = {n: _in_format(n, t, self.untrained[n]).detach() for n, t in after.items()}
        return logits

    def _call(
        self, row: Tensor | None, untrained: dict[str, Tensor], source: Tensor, prefix: Any
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return one model's logits ``[B, T, V]`` and its untrained tensors after the forward.

        Inside vmap the arguments have no model axis. Without a row the module's own parameters are used.
        """
        named = {**({} if row is None else self.layout.unpack(row)), **untrained}
        # A tensor is passed for each of its places; torch's own tie_weights loses those of a module used twice.
        tensors = {alias: tensor for name, tensor in named.items() for alias in self.aliases[name]}
        logits = functional_call(self.model, tensors, (source, prefix), tie_weights=False)
        return logits, {name: tensors[name] for name in untrained}  # functional_call writes what the forward assigned

    @torch.no_grad()
    def keep_changes(self, alive: Tensor) -> None:
        """Write what the last forward in training changed in untrained tensors, where bool ``alive`` ``[R]`` is true.

        The memory of the tensors stays the same, so a CUDA graph can replay this.
        """
        for name, value in self.changes.items():
            stored = self.untrained[name]
            stored.copy_(torch.where(alive.view(-1, *(1,) * (stored.dim() - 1)), value, stored))
        self.changes = {}

    def losses(self, batch: Batch, loss: Loss | None = None) -> Tensor:
        """Return the loss of each model over its own rows, float ``[R]``; a batch has ``R x B`` rows.

        ``loss`` is the mean cross entropy by default.
        """
        source, prefix, target = (None if x is None else x.unflatten(0, (self.size, -1)) for x in batch)
        assert source is not None
        assert target is not None
        return (loss or cross_entropy)(self.logits(source, prefix), target)

    def named_views(self, replica: int) -> dict[str, nn.Parameter]:
        """Return one model's parameters by name. They share the memory of ``values``, and their gradients of ``grads``.

        An optimizer that changes them in place changes the model.
        """
        values, grads = (self.layout.unpack(rows[replica]) for rows in (self.values.detach(), self.grads))
        views = {name: nn.Parameter(value) for name, value in values.items()}
        for name, view in views.items():
            view.grad = grads[name]
        return views

    def backward(self, losses: Tensor) -> None:
        """Write each model's gradient into its row of ``grads``; detach the losses, which frees their graph."""
        self.grads.zero_()
        # A loss depends on one row only, so the gradient of the sum holds the gradient of each model in its row.
        losses.sum().backward()
        losses.detach_()

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return one model's parameters and persistent buffers by name, on the CPU; complex ones as pairs of reals.

        Raises:
            ValueError: ``state_dict`` holds more tensors than before the training, which would be lost.
        """
        if added := stored_names(self.model) - self.stored:
            raise ValueError(f"the model registered {min(added)} in a forward; register it in __init__")
        tensors = self.layout.unpack(self.values[replica].detach())
        tensors |= {name: tensor[replica] for name, tensor in self.untrained.items() if name in self.stored}
        return {name: as_real(tensor).cpu().clone() for name, tensor in tensors.items()}


def cross_entropy(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean loss ``[R]`` of each model over its targets, from ``[R, B, T, V]`` and ``[R, B, T]``.

    The loss of a model without any target is 0, and so is its gradient.
    """
    losses = F.cross_entropy(
        logits.flatten(0, -2), target.flatten(), ignore_index=IGNORE, reduction="none", label_smoothing=label_smoothing
    ).view(len(target), -1)
    return losses.sum(1) / (target != IGNORE).flatten(1).sum(1).clamp(min=1)


def build_seeded(spec: Spec, symbols: tuple[str, ...], seed: int, name: str = "") -> SequenceModel:
    """Build a model on the CPU; its initial values depend only on the seed and on ``name`` (default: the spec)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init_seed(seed, name or str(spec)))
        return build_model(spec, symbols)


def init_seed(seed: int, name: str) -> int:
    """Return the torch seed of a model's initialisation and dropout."""
    return int(fold_in(torch.tensor(text_key(name)), seed)) & ((1 << 63) - 1)


def load(
    models: Sequence[SequenceModel],
    weights: Sequence[dict[str, Tensor]],
    device: torch.device | str,
    numerics: Numerics = FLOAT32,
) -> Population:
    """Copy weights into the models and return them as a population.

    Files of earlier versions hold parameters only; buffers that are missing keep their initial values.
    """
    for model, values in zip(models, weights, strict=True):
        tensors = dict(model.named_parameters()) | dict(model.named_buffers())
        with torch.no_grad():
            for name in stored_names(model):
                if name in values or name not in dict(model.named_buffers()):
                    as_real(tensors[name]).copy_(values[name])
    return Population(models, device, numerics)


def _stack(tensors: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([model_tensors[name] for model_tensors in tensors]) for name in tensors[0]}


def _in_format(name: str, value: Any, stored: Tensor) -> Tensor:
    """Return the new value of an untrained tensor; raise ValueError unless it has the stored shape and format."""
    if not isinstance(value, Tensor) or (value.shape, value.dtype) != (stored.shape, stored.dtype):
        new = f"{value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"the model changed {name} from {stored.dtype} {list(stored.shape)} to {new}; keep its format")
    return value
