"""AdamW for a population, with a learning rate, gradient clipping and a freeze flag for each model.

The parameters of all models lie in one matrix ``[R, P]``, one row for each model. A step therefore takes about a dozen
operations for any number of tensors and models. Loshchilov & Hutter 2019, algorithm 2. Each row is updated as by
``torch.optim.AdamW`` after ``clip_grad_norm_``.

Weight decay leaves out biases, the parameters of norms, all others with one dimension, and those that a module names in
``no_weight_decay``: decays, step sizes and other parameters of a recurrence's state (as in nanoGPT, and as the authors
of Mamba mark ``A_log`` and ``D``).
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from harness.data.presentation import Batch


def undecayed(model: nn.Module) -> set[str]:
    """Return the names of the parameters that weight decay leaves out."""
    names = set()
    for prefix, module in model.named_modules():
        named = getattr(module, "no_weight_decay", ())
        exempt = set(named() if callable(named) else named)
        is_norm = "norm" in type(module).__name__.lower()
        for name, parameter in module.named_parameters(recurse=False):
            if is_norm or parameter.dim() < 2 or "bias" in name:
                exempt.add(name)
        names |= {f"{prefix}.{name}".removeprefix(".") for name in exempt}
    return names


class PopulationOptimizer:
    """Common part of all that train the models of a population: which of them still learn, and for how many steps.

    Attributes:
        alive: bool ``[R, 1]``, false for frozen models.
        lived: long ``[R]``, the steps that each model has taken.
    """

    needs_gradients: ClassVar[bool] = True
    capturable: ClassVar[bool] = True
    """Whether a CUDA graph can replay a step."""

    def __init__(self, models: int, device: torch.device) -> None:
        self.alive = torch.ones(models, 1, dtype=torch.bool, device=device)
        self.lived = torch.zeros(models, dtype=torch.long, device=device)

    def rows(self) -> dict[str, Tensor]:
        """Return the state that is kept for each model next to its parameters, one row for each model."""
        return {"alive": self.alive, "lived": self.lived}

    def model_state(self, index: int) -> dict[str, Any]:
        """Return the further state of one model for a snapshot, which :meth:`load_model_state` takes."""
        return {}

    def load_model_state(self, index: int, state: dict[str, Any]) -> None:
        """Set the further state of one model."""

    def step(self, factor: float | Tensor, batch: Batch) -> None:
        """Take one step at ``factor`` times the peak rates, a number or ``[R, 1]``, on a batch."""
        raise NotImplementedError

    def restart(self) -> None:
        """Forget what earlier gradients left behind, at the beginning of a stage."""

    def freeze(self, rows: Tensor) -> None:
        """Stop the models where bool ``rows`` ``[R]`` is true."""
        self.alive &= ~rows[:, None]


class RowOptimizer(PopulationOptimizer):
    """Common part of optimizers that update the rows of ``values`` in place from the rows of ``grads``.

    A model whose gradient is not finite is frozen: its ``alive`` turns false and its row never changes again.

    Args:
        values: float ``[R, P]``, the parameters.
        grads: float ``[R, P]``, their gradients; overwritten.
        learning_rates: float ``[R]``, the peak rate of each model.
        clip: largest gradient norm of a model; 0 does not clip.
    """

    def __init__(self, values: Tensor, grads: Tensor, learning_rates: Tensor, clip: float) -> None:
        super().__init__(len(values), values.device)
        self.values, self.grads, self.clip = values, grads, clip
        self.rates = learning_rates.to(values)[:, None]

    def step(self, factor: float | Tensor, batch: Batch | None = None) -> None:
        """Take one step at ``factor`` times the peak rates, a number or ``[R, 1]``; of ``batch`` nothing is used."""
        raise NotImplementedError

    def _clip_and_freeze(self) -> None:
        """Clip each row's gradient; freeze rows whose gradient is not finite; clear the gradients of frozen rows."""
        norm = torch.linalg.vector_norm(self.grads, dim=1, keepdim=True)
        self.alive &= norm.isfinite()
        self.lived += self.alive[:, 0]
        if self.clip:
            self.grads.mul_((self.clip / (norm + 1e-6)).clamp_(max=1.0))
        self.grads.masked_fill_(~self.alive, 0.0)


class AdamW(RowOptimizer):
    """AdamW of all models at once.

    Args:
        weight_decay: of each parameter, float ``[P]``, or one number for all.

    Attributes:
        mean, square: running means of gradients and of squared gradients, float ``[R, P]``.
        restarted: long ``[R]``, the steps that each model had taken when the means were last set to zero.
    """

    def __init__(
        self,
        values: Tensor,
        grads: Tensor,
        learning_rates: Tensor,
        *,
        weight_decay: float | Tensor = 0.0,
        clip: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(values, grads, learning_rates, clip)
        self.weight_decay, self.betas, self.eps = weight_decay, betas, eps
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)
        self.restarted = torch.zeros_like(self.lived)
        self.scratch = torch.empty_like(values)  # allocated once, so that memory cannot run out within a step

    @torch.no_grad()
    def step(self, factor: float | Tensor, batch: Batch | None = None) -> None:
        """Take one step at ``factor`` times the peak rates, a number or ``[R, 1]``; of ``batch`` nothing is used."""
        self._clip_and_freeze()
        beta1, beta2 = self.betas
        self.mean.lerp_(self.grads, 1 - beta1)
        self.square.mul_(beta2).addcmul_(self.grads, self.grads, value=1 - beta2)
        root = torch.sqrt(self.square, out=self.scratch).div_(self._bias_correction(beta2).sqrt()).add_(self.eps)
        rates = self.rates * self.alive * factor
        if isinstance(self.weight_decay, Tensor) or self.weight_decay:
            self.values.mul_(1 - rates * self.weight_decay)
        self.values.sub_(torch.div(self.mean, root, out=self.scratch).mul_(rates / self._bias_correction(beta1)))

    @torch.no_grad()
    def restart(self) -> None:
        """Set the running means to zero."""
        self.mean.zero_()
        self.square.zero_()
        self.restarted.copy_(self.lived)

    def _bias_correction(self, beta: float) -> Tensor:
        """Return ``1 - beta ** t`` for each model's number of steps ``t``, ``[R, 1]``."""
        # At least 1 avoids a division by zero in rows that were frozen at step 0.
        steps = (self.lived - self.restarted).clamp(min=1)[:, None]
        return (1 - beta ** steps.double()).to(self.values)

    def rows(self) -> dict[str, Tensor]:
        """Return the state that is kept for each model next to its parameters, one row for each model."""
        return {"mean": self.mean, "square": self.square, "restarted": self.restarted, **super().rows()}
