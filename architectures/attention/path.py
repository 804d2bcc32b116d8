"""PaTH attention: between a key and a query lie reflections, one for each token, which take the place of positions.

Yang et al. 2025, "PaTH Attention: Position Encoding via Accumulating Householder Transformations", sections 2 and 3.
RoPE turns a key by a fixed angle for each token after it. Here each token multiplies the keys before it by a matrix of
its own, so a token can leave them as they are, erase a direction, or reflect it.

Glossary (paper <-> code):
    q, k, v    queries, keys, values                    <-> q, k, v  [B, H, L, E]
    w_t        direction, of norm one                   <-> w        [B, H, L, E]
    beta_t     strength, in (0, 2)                      <-> beta     [B, H, L, 1]
    H_t        I - beta_t w_t w_t^T
    T          the UT transform of a chunk              <-> the solution of a triangular system in ``chunk_scores``

    score_ij = q_i^T H_i H_{i-1} ... H_{j+1} k_j / sqrt(E)    for j <= i
    w_t = unit(silu(conv(W_2 W_1 x)))        beta_t = 2 sigmoid(u x_t + b)

The state of a step holds the keys as the next query sees them: at token t each cached key becomes ``H_t k``, and then
the new key is appended. A step is therefore as cheap as in a transformer. With ``beta = 0`` it is attention without
positions.

Differs from the paper: no forget gate (its PaTH-FoX) and no norms of queries and keys, which are optional there. The
short convolution has a bias.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State, causal_mask
from architectures.parts.attention import Memory, head_width, merge_heads, split_heads
from architectures.parts.delta_layer import unit
from architectures.parts.normalizers import softmax
from architectures.parts.scans.delta import solve
from architectures.parts.short_convolution import ShortConvolution

CHUNK = 64


class PaTH(Mixer):
    """Causal attention over reflected keys. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: attention heads ``H``.
        rank: channels between the two maps to ``w``.
        conv: number of positions that the convolution of ``w`` mixes.
        kernel: ``recurrent`` multiplies all earlier keys at every token; ``chunked`` solves a triangular system in each
            chunk of 64 positions. ``auto`` is ``chunked``.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        rank: Positive = 32,
        conv: Positive = 3,
        kernel: Literal["auto", "recurrent", "chunked"] = "auto",
    ) -> None:
        super().__init__()
        self.heads, self.channels = heads, head_width(width, heads)
        self.kernel_in_use = "chunked" if kernel == "auto" else kernel
        self.into = nn.Linear(width, 3 * width, bias=False)
        self.direction = nn.Sequential(nn.Linear(width, rank, bias=False), nn.Linear(rank, width, bias=False))
        self.convolution = ShortConvolution(width, conv)
        self.strength = nn.Linear(width, heads)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        direction, window = self.convolution.prefill(self.direction(x), silu=True)
        q, k, v, *reflection = self._project(x, direction)
        means, keys = [], k
        for scores, seen in self._chunks(q, k, *reflection):
            means.append(self._weights(scores) @ v[:, :, : scores.shape[-1]])
            keys = seen
        return self.out(merge_heads(torch.cat(means, dim=2))), (window, (keys, v))

    def start(self, rows: int, like: Tensor) -> State:
        """Return the window of the convolution, and no keys and values."""
        empty = like.new_zeros(rows, self.heads, 0, self.channels)
        return self.convolution.start(rows, like), (empty, empty)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Reflect the cached keys, add one position and attend to all of them."""
        window, (keys, values) = state
        direction, window = self.convolution.step(self.direction(x), window)
        q, k, v, w, beta = self._project(x[:, None], F.silu(direction)[:, None])
        memory: Memory = torch.cat((reflect(keys, w, beta), k), dim=2), torch.cat((values, v), dim=2)
        means = self._weights(q @ memory[0].transpose(-1, -2)) @ memory[1]
        return self.out(merge_heads(means))[:, 0], (window, memory)

    def weights(self, x: Tensor, context: Context) -> Tensor:
        """Return the attention weights ``[B, H, L, L]``."""
        q, k, _, *reflection = self._project(x, self.convolution(self.direction(x), silu=True))
        rows = (self._weights(scores) for scores, _ in self._chunks(q, k, *reflection))
        return torch.cat([F.pad(row, (0, x.shape[1] - row.shape[-1])) for row in rows], dim=2)

    def _project(self, x: Tensor, direction: Tensor) -> tuple[Tensor, ...]:
        """Return queries, scaled, keys, values, ``w`` and ``beta``."""
        q, k, v = (split_heads(part, self.heads) for part in self.into(x).chunk(3, dim=-1))
        beta = 2 * torch.sigmoid(split_heads(self.strength(x), self.heads))
        return q * self.channels**-0.5, k, v, unit(split_heads(direction, self.heads)), beta

    def _chunks(self, q: Tensor, k: Tensor, w: Tensor, beta: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the scores of each chunk of queries with the keys so far, and these keys after the chunk."""
        seen = k[:, :, :0]
        if self.kernel_in_use == "recurrent":
            for q_t, k_t, w_t, beta_t in zip(*(z.split(1, dim=2) for z in (q, k, w, beta)), strict=True):
                seen = torch.cat((reflect(seen, w_t, beta_t), k_t), dim=2)
                yield q_t @ seen.transpose(-1, -2), seen
            return
        for chunk in zip(*(z.split(CHUNK, dim=2) for z in (q, k, w, beta)), strict=True):
            scores, seen = chunk_scores(seen, *chunk)
            yield scores, seen

    def _weights(self, scores: Tensor) -> Tensor:
        queries, keys = scores.shape[-2:]
        return softmax(scores, causal_mask(queries, keys, scores.device))


def reflect(keys: Tensor, w: Tensor, beta: Tensor) -> Tensor:
    """Return ``H k`` for all keys ``[B, H, L, E]``, with ``w`` ``[B, H, 1, E]`` and ``beta`` of one token."""
    return keys - beta * (keys * w).sum(-1, keepdim=True) * w


def chunk_scores(past: Tensor, q: Tensor, k: Tensor, w: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scores of a chunk of ``c`` positions with past and own keys, and all keys as seen after the chunk.

    What the reflections of the chunk take off a key k_j is a combination of its directions,
    ``H_i ... H_{j+1} k_j = k_j - sum_m x_mj w_m``, and the factors solve, for j < m::

        x_mj = beta_m (w_m . k_j - sum_{l<m} (w_m . w_l) x_lj)

    Args:
        past: keys before the chunk, ``[B, H, P, E]``, as its first token finds them.
        q, k, w, beta: ``[B, H, c, ...]``.

    Returns:
        ``[B, H, c, P + c]``, valid where a query sees the key, and ``[B, H, P + c, E]``.
    """
    keys = torch.cat((past, k), dim=2)
    across = (w @ keys.transpose(-1, -2)).tril(past.shape[2] - 1)  # a token reflects the keys before it
    factors = solve(beta * (w @ w.transpose(-1, -2)), beta * across)  # [B, H, c, P + c]
    seen_directions = (q @ w.transpose(-1, -2)).tril()
    return q @ keys.transpose(-1, -2) - seen_directions @ factors, keys - factors.transpose(-1, -2) @ w
