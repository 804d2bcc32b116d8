"""AdamW for a population: a learning rate, a clip and a freeze flag for each model.

All parameters of all models lie in one matrix ``[R, P]``, a row a model, so a step is a dozen operations whatever the
number of tensors or models. Loshchilov & Hutter 2019, algorithm 2; equal to ``torch.optim.AdamW`` after
``clip_grad_norm_`` for each row by itself.
"""

from typing import ClassVar

import torch
from torch import Tensor

from harness.data.presentation import Batch


class AdamW:
    """Update the rows of ``values`` in place from the rows of ``grads``.

    Args:
        values: float ``[R, P]``, the parameters.
        grads: float ``[R, P]``, their gradients; overwritten.
        learning_rates: float ``[R]``, the peak rate of each model.
        clip: largest gradient norm of a model; 0 does not clip.

    A model whose gradient is not finite is frozen: ``alive`` ``[R]`` turns false and its row never changes again.
    """

    needs_gradients: ClassVar[bool] = True

    def __init__(
        self,
        values: Tensor,
        grads: Tensor,
        learning_rates: Tensor,
        *,
        weight_decay: float = 0.0,
        clip: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.values, self.grads = values, grads
        self.rates = learning_rates.to(values)[:, None]
        self.weight_decay, self.clip, self.betas, self.eps = weight_decay, clip, betas, eps
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)
        self.move = torch.empty_like(values)  # held, so that memory cannot run out in the middle of a step
        self.alive = torch.ones(len(values), 1, dtype=torch.bool, device=values.device)
        self.lived = torch.zeros(len(values), dtype=torch.long, device=values.device)

    @torch.no_grad()
    def step(self, factor: float | Tensor, batch: Batch | None = None) -> None:
        """Take one step at ``factor`` times the peak learning rates; ``batch`` is not used, gradients are."""
        self._guard()
        beta1, beta2 = self.betas
        self.mean.lerp_(self.grads, 1 - beta1)
        self.square.mul_(beta2).addcmul_(self.grads, self.grads, value=1 - beta2)
        root = torch.sqrt(self.square, out=self.move).div_(self._grown(beta2).sqrt()).add_(self.eps)
        rates = self.rates * self.alive * factor
        if self.weight_decay:
            self.values.mul_(1 - rates * self.weight_decay)
        self.values.sub_(torch.div(self.mean, root, out=self.move).mul_(rates / self._grown(beta1)))

    def _grown(self, beta: float) -> Tensor:
        """Return what a running mean that began at zero has reached of a constant's value, ``[R, 1]``."""
        steps = self.lived.clamp(min=1)[:, None]  # a row that never lived does not move, whatever stands here
        return (1 - beta ** steps.double()).to(self.values)

    def rows(self) -> dict[str, Tensor]:
        """Return what is remembered of each model, a row a model."""
        return {"mean": self.mean, "square": self.square, "alive": self.alive, "lived": self.lived}

    def freeze(self, rows: Tensor) -> None:
        """Stop the models where bool ``rows`` ``[R]`` is true."""
        self.alive &= ~rows[:, None]

    def _guard(self) -> None:
        """Clip each row; freeze the rows that are not finite and clear their gradients."""
        norm = torch.linalg.vector_norm(self.grads, dim=1, keepdim=True)
        self.alive &= norm.isfinite()
        self.lived += self.alive[:, 0]
        if self.clip:
            self.grads.mul_((self.clip / (norm + 1e-6)).clamp_(max=1.0))
        self.grads.masked_fill_(~self.alive, 0.0)
