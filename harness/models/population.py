"""A population: models of one architecture that differ in seed and learning rate, trained as one program.

The parameters of all models are the rows of one matrix, and so are their gradients. A population of one calls its
module directly. A larger population runs the module under ``torch.func.vmap`` over the rows, followed by one
``backward``. A module that vmap cannot batch raises an error here; the harness then trains its models one by one.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, vmap

from architectures.base import SequenceModel
from architectures.parts.kernels import replicas_ride_along
from harness.data.presentation import Batch
from harness.data.rng import fold_in, text_key
from harness.models.precision import FLOAT32, Numerics
from harness.registry.options import Spec, build_model
from tasks.base import IGNORE


class Population:
    """``R`` models that are computed together.

    Args:
        models: freshly built modules of one architecture; their parameters are copied into the matrix.
        device: the device of the matrix and of all buffers.
        numerics: the number format of forwards; logits always have the format of the parameters.

    Attributes:
        values, grads: parameters and gradients, float ``[R, P]``.
    """

    def __init__(
        self, models: Sequence[SequenceModel], device: torch.device | str = "cpu", numerics: Numerics = FLOAT32
    ) -> None:
        self.size, self.model, self.numerics = len(models), models[0].to(device), numerics
        self.shapes = {name: p.shape for name, p in self.model.named_parameters()}
        rows = [torch.cat([p.detach().flatten() for p in model.parameters()]) for model in models]
        self.values = torch.stack([row.to(device) for row in rows])
        self.grads = torch.zeros_like(self.values)
        self._connect()
        self.buffers = _stack([dict(model.to(device).named_buffers()) for model in models])

    def _connect(self) -> None:
        """Make autograd read its parameters from ``values`` and write gradients into ``grads``, in place."""
        if self.size > 1:
            self.values.requires_grad_().grad = self.grads
            return
        # The only model runs without vmap, so the module's own parameters must be views of the matrix.
        values, grads = self._slices(self.values[0]), self._slices(self.grads[0])
        for name, parameter in self.model.named_parameters():
            parameter.data, parameter.grad = values[name], grads[name]

    def _slices(self, row: Tensor) -> dict[str, Tensor]:
        """Return the named parameters in a row ``[P]``, as views."""
        parts = row.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}

    def train(self, mode: bool = True) -> None:
        """Switch dropout and random positions on or off."""
        self.model.train(mode)

    def logits(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return logits ``[R, B, T, V]`` for a source long ``[R, B, S]`` and a prefix ``[R, B, T]``, or None."""
        return self.numerics.forward(self._logits, self.values.device, source, prefix).to(self.values)

    def _logits(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        if self.size == 1:
            return self.model(source[0], None if prefix is None else prefix[0])[None]
        # Fused operators that vmap cannot batch are replaced by their plain form in this context.
        with replicas_ride_along():
            # Each model takes its own row, buffers and batch. Dropout masks differ between models.
            in_dims = (0, 0, 0, None if prefix is None else 0)
            return vmap(self._call, in_dims=in_dims, randomness="different")(self.values, self.buffers, source, prefix)

    def _call(self, row: Tensor, buffers: dict[str, Tensor], source: Tensor, prefix: Any) -> Tensor:
        """Return the logits ``[B, T, V]`` of one model; inside vmap the arguments have no model axis."""
        return functional_call(self.model, (self._slices(row), buffers), (source, prefix))

    def losses(self, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross entropy of each model over its own rows, float ``[R]``; a batch has ``R x B`` rows."""
        source, prefix, target = (None if x is None else x.unflatten(0, (self.size, -1)) for x in batch)
        assert source is not None
        assert target is not None
        return cross_entropy(self.logits(source, prefix), target, label_smoothing)

    def backward(self, losses: Tensor) -> None:
        """Write each model's gradient into its row of ``grads``; detach the losses, which frees their graph."""
        self.grads.zero_()
        # A loss depends on one row only, so the gradient of the sum holds the gradient of each model in its row.
        losses.sum().backward()
        losses.detach_()

    def weights(self, replica: int) -> dict[str, Tensor]:
        """Return one model's parameters by name, on the CPU."""
        return {name: values.cpu().clone() for name, values in self._slices(self.values[replica].detach()).items()}


def cross_entropy(logits: Tensor, target: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean loss ``[R]`` of each model over its targets, from ``[R, B, T, V]`` and ``[R, B, T]``."""
    losses = F.cross_entropy(
        logits.flatten(0, -2), target.flatten(), ignore_index=IGNORE, reduction="none", label_smoothing=label_smoothing
    ).view(len(target), -1)
    return losses.sum(1) / (target != IGNORE).flatten(1).sum(1)


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
    """Copy trained weights into the models and return them as a population."""
    for model, values in zip(models, weights, strict=True):
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(values[name])
    return Population(models, device, numerics)


def _stack(buffers: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([model_buffers[name] for model_buffers in buffers]) for name in buffers[0]}
