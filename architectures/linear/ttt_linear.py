"""TTT-Linear: the state is a linear model, and reading a token is a step of gradient descent that trains it.

Sun et al. 2024, "Learning to (Learn at Test Time): RNNs with Expressive Hidden States", sections 2.1 to 2.7. The model
f learns to reconstruct a value from a key. Gradients of a mini-batch of tokens are taken at the weights before it, so
they can be computed at once (the dual form).

Glossary (paper <-> code):
    theta_Q x, theta_K x   query and key, RoPE inside a mini-batch  <-> q, k       [B, H, L, E + 1], with a last one
    theta_V x              value                                    <-> value      [B, H, L, E]; it learns value - key
    W, b                   weights and bias of f                    <-> model      [B, H, E + 1, E], b as the last row
    f(x; W)                x + LN(W x + b)                          <-> LN is ``scale`` and ``shift``, by head
    eta                    learning rate of a token                 <-> rate       [B, H, L, 1], sigmoid(w x) / E
                           factor of a place in a mini-batch        <-> factors    [b], about 1 / (place + 1)
    G_t                    gradient of the loss, times the rate     <-> gradient   [B, H, E + 1, E], summed so far

    loss_t = |LN(W k_t + b) - (v_t - k_t)|^2 / 2
    W_t = W_start - factor_t sum_{start <= s <= t} rate_s grad loss_s(W_start)        o_t = q_t + LN(W_t q_t + b_t)
    y_t = W_o LayerNorm(o_t)

With mini-batches of one token and without the norm it is the delta rule, with the rate as its writing strength.

Differs from the paper: queries and keys have no convolutions and there is no gate, as in the version on a transformer's
block. Heads have ``D / H`` channels, not 64.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.positions.rope import angles, turn

EPSILON = 1e-6


class Projected(NamedTuple):
    """What a layer computes from its input, ``[B, H, L, ...]``; ``target`` is the value minus the key."""

    q: Tensor
    k: Tensor
    target: Tensor
    rate: Tensor


class TTTLinear(Mixer):
    """A layer whose state is a linear model. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of twice the heads.
        heads: number of heads ``H``, each with a model of its own.
        batch: tokens ``b`` in a mini-batch.
        kernel: ``recurrent`` sums gradients token by token, ``chunked`` is the dual form, a mini-batch at a time.
            ``auto`` is ``chunked``.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    reference: ClassVar[str] = "recurrent"
    no_weight_decay = ("scale", "shift", "first_bias")

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        batch: Positive = 16,
        kernel: Literal["auto", "recurrent", "chunked"] = "auto",
    ) -> None:
        super().__init__()
        self.heads, self.channels, self.batch = heads, head_width(width, heads, multiple=2), batch
        self.kernel_in_use = "chunked" if kernel == "auto" else kernel
        self.into = nn.Linear(width, 3 * width, bias=False)
        self.rate = nn.Linear(width, heads)
        nn.init.normal_(self.rate.weight, std=0.02)
        nn.init.zeros_(self.rate.bias)
        self.factor_change = nn.Parameter(torch.zeros(batch))
        self.first = nn.Parameter(0.02 * torch.randn(heads, self.channels, self.channels))
        self.first_bias = nn.Parameter(torch.zeros(heads, 1, self.channels))
        self.scale = nn.Parameter(torch.ones(heads, 1, self.channels))
        self.shift = nn.Parameter(torch.zeros(heads, 1, self.channels))
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        length = x.shape[1]
        p = self._project(x, torch.arange(length, device=x.device)[None] % self.batch)
        model, gradient, time = self.start(x.shape[0], x)
        out, update = [], self._recurrent if self.kernel_in_use == "recurrent" else self._dual
        for piece in zip(*(z.split(self.batch, dim=2) for z in p), strict=True):
            read_values, model, gradient = update(Projected(*piece), model)
            out.append(read_values)
        return self._output(torch.cat(out, dim=2), p.q), (model, gradient, time + length)

    def start(self, rows: int, like: Tensor) -> State:
        """Return the first model and no gradient, ``[B, H, E + 1, E]`` each, and the number of tokens, ``[B]``."""
        model = torch.cat((self.first, self.first_bias), dim=1).to(like).expand(rows, -1, -1, -1)
        return model, torch.zeros_like(model), torch.zeros(rows, dtype=torch.long, device=like.device)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Add the gradient of one token, read, and change the model where a mini-batch is complete."""
        model, gradient, time = state
        place = time % self.batch
        p = self._project(x[:, None], place[:, None])
        gradient = gradient + p.k.transpose(-1, -2) @ (p.rate * self._gradient(p.k @ model, p.target))
        changed = model - self._factors()[place][:, None, None, None] * gradient
        complete = (place == self.batch - 1)[:, None, None, None]
        state = torch.where(complete, changed, model), torch.where(complete, 0.0, gradient), time + 1
        return self._output(p.q @ changed, p.q)[:, 0], state

    def _project(self, x: Tensor, places: Tensor) -> Projected:
        """Project ``[B, L, D]``; queries and keys turn by the place in the mini-batch, and end with a one.

        Places are long ``[1, L]``, or ``[B, L]`` where rows are at different ones.
        """
        q, k, v = (split_heads(part, self.heads) for part in self.into(x).chunk(3, dim=-1))
        table = angles(q, torch.arange(self.batch, device=x.device))  # [H, b, E] each
        cos, sin = (part[:, places].transpose(0, 1) for part in table)
        q, k = (turn(z, (cos, sin)) for z in (q, k))
        rate = torch.sigmoid(split_heads(self.rate(x), self.heads)) / self.channels
        return Projected(F.pad(q, (0, 1), value=1.0), F.pad(k, (0, 1), value=1.0), v - k, rate)

    def _factors(self) -> Tensor:
        """Return the factor of each place in a mini-batch, ``[b]``."""
        count = torch.arange(1, self.batch + 1, device=self.factor_change.device, dtype=self.factor_change.dtype)
        return (1 / count + self.factor_change).clamp(min=0)

    def _gradient(self, z: Tensor, target: Tensor) -> Tensor:
        """Return the gradient of ``|LN(z) - target|^2 / 2`` by ``z`` ``[B, H, L, E]``."""
        centred = z - z.mean(-1, keepdim=True)
        inverse = torch.rsqrt(centred.square().mean(-1, keepdim=True) + EPSILON)
        normed = centred * inverse
        g = (normed * self.scale + self.shift - target) * self.scale
        return inverse * (g - g.mean(-1, keepdim=True) - normed * (g * normed).mean(-1, keepdim=True))

    def _recurrent(self, p: Projected, model: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sum the gradients of a mini-batch token by token.

        Returns:
            What queries read ``[B, H, c, E]``, the next model, and the summed gradient if the mini-batch is incomplete.
        """
        gradient, out = torch.zeros_like(model), []
        for factor, *token in zip(self._factors(), *(z.split(1, dim=2) for z in p), strict=False):
            q, k, target, rate = token
            gradient = gradient + k.transpose(-1, -2) @ (rate * self._gradient(k @ model, target))
            out.append(q @ (model - factor * gradient))
        return torch.cat(out, dim=2), *self._finish(model, gradient, len(out))

    def _dual(self, p: Projected, model: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the result of :meth:`_recurrent` from the scores of queries and keys."""
        steps, length = p.rate * self._gradient(p.k @ model, p.target), p.q.shape[2]
        scores = (p.q @ p.k.transpose(-1, -2)).tril() * self._factors()[:length, None]
        return p.q @ model - scores @ steps, *self._finish(model, p.k.transpose(-1, -2) @ steps, length)

    def _finish(self, model: Tensor, gradient: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Change the model by the gradient of a mini-batch; if it is incomplete, keep both."""
        if length < self.batch:
            return model, gradient
        return model - self._factors()[-1] * gradient, torch.zeros_like(gradient)

    def _output(self, read_values: Tensor, q: Tensor) -> Tensor:
        """Apply the norm of each head, add the query, and project."""
        normed = F.layer_norm(read_values, read_values.shape[-1:], eps=EPSILON) * self.scale + self.shift
        return self.out(self.norm(merge_heads(q[..., :-1] + normed)))
