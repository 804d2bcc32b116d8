"""xLSTM: LSTMs with exponential gates, whose memory is a matrix (mLSTM) or a vector with mixing (sLSTM).

Beck et al. 2024, "xLSTM: Extended Long Short-Term Memory", section 2; blocks and initial values of the authors' code.

Glossary (paper <-> code):
    q, k, v     queries, keys, values     <-> q, k, v      [B, H, L, E]        2 D = H E
    i~, f~      gates before activation   <-> i, f         mLSTM [B, H, L], sLSTM [B, H, E]
    m_t         stabiliser                <-> m
    C_t, n_t    memory and normaliser     <-> state [B, H, E, E+1] of mLSTM: C_t and, in its last column, n_t
    c_t, n_t    the same of sLSTM         <-> c, n         [B, H, E]           D = H E
    R           recurrent matrices        <-> recurrent    [H, E, 4 E], gates in the order i, f, z, o

mLSTM (section 2.3, without m_t, which changes no value; C_t is the paper's, transposed):

    C_t = f_t C_{t-1} + i_t k_t v_t^T           n_t = f_t n_{t-1} + i_t k_t
    h_t = C_t^T q_t / max(|n_t . q_t|, 1)       i_t = exp(i~), f_t = sigmoid(f~)

With ``m_t = max(log f_t + m_{t-1}, i~_t)`` the state ``exp(-m_t) (C_t, n_t)`` has the decay ``exp(log f_t + m_{t-1} -
m_t)`` and the input gate ``exp(i~_t - m_t)``, both at most one. This is linear attention with decay, so that all its
forms apply.

sLSTM (section 2.2, also without m_t):

    i~, f~, z~, o~ = W x_t + R h_{t-1} + b      h_t = sigmoid(o~) c_t / n_t
    c_t = f_t c_{t-1} + i_t tanh(z~)            n_t = f_t n_{t-1} + i_t

Differs from the authors' code: the feed-forward network of the sLSTM block follows the norm of its heads, as in
appendix A, without a residual and a norm of its own; nothing is added to a denominator. As in that code, f is
``sigmoid(f~)`` and not ``exp(f~)``.
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import head_width
from architectures.parts.scans import decay
from architectures.parts.short_convolution import ShortConvolution, last_positions

FORMS = {"recurrent": decay.recurrent, "parallel": decay.parallel, "chunked": decay.chunked}

EXPAND, FEED_FORWARD, CONVOLUTION, BLOCK = 2, 4 / 3, 4, 4
"""Of the paper: up-projection of each block, positions of the convolution, channels of a block of W_q, W_k and W_v."""


class BlockDiagonal(nn.Module):
    """A separate linear map for each of ``K`` blocks, ``[..., K * I]`` to ``[..., K, O]``."""

    def __init__(self, blocks: int, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(blocks, inputs, outputs).normal_(std=math.sqrt(0.4 / width)))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the maps to their blocks."""
        return torch.einsum("...ki,kio->...ko", x.unflatten(-1, self.weight.shape[:2]), self.weight)


class HeadNorm(nn.Module):
    """LayerNorm of each head, ``[..., H, E]`` to ``[..., H * E]``, with one weight for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Norm and join the heads."""
        return F.layer_norm(x, x.shape[-1:]).flatten(-2) * self.weight


def projections(width: int, inner: int, depth: int) -> tuple[nn.Linear, nn.Linear]:
    """Return the map up to two branches and the map down from one, initialised as in the authors' code."""
    up, down = nn.Linear(width, 2 * inner, bias=False), nn.Linear(inner, width, bias=False)
    nn.init.normal_(up.weight, std=math.sqrt(0.4 / width))
    nn.init.normal_(down.weight, std=2 / depth / math.sqrt(width))
    return up, down


class MLSTM(nn.Module):
    """The mLSTM block: the cell between an up- and a down-projection, with a gate and a learnable skip."""

    def __init__(self, width: int, heads: int, form: str, layer: int, depth: int) -> None:
        super().__init__()
        self.form, self.heads, inner = form, heads, EXPAND * width
        self.up, self.down = projections(width, inner, depth)
        self.convolution = ShortConvolution(inner, CONVOLUTION)
        self.query, self.key, self.value = (BlockDiagonal(inner // BLOCK, BLOCK, BLOCK, width) for _ in range(3))
        self.gates = nn.Linear(3 * inner, 2 * heads)
        self.norm = HeadNorm(inner)
        self.skip = nn.Parameter(torch.ones(inner))
        nn.init.zeros_(self.gates.weight)
        self.gates.bias.data.copy_(torch.cat((0.1 * torch.randn(heads), torch.linspace(3.0, 6.0, heads))))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._mix(x)[0]

    def prefill(self, x: Tensor) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        out, inputs, updates, m = self._mix(x)
        window = last_positions(inputs, CONVOLUTION - 1)
        return out, (window, decay.final_state(*updates), m[..., -1])

    def _mix(self, x: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor], Tensor]:
        """Return the outputs, the convolution's inputs, (k, v, log_decay) of the memory, and all stabilisers."""
        x, gate = self.up(x).chunk(2, dim=-1)
        mixed = self.convolution(x, silu=True)
        q, k, v, i, f = (z.transpose(1, 2) for z in self._project(x, mixed))  # [B, H, L, ...]
        m = running_maximum(i, f)
        previous = torch.cat((m[..., :1], m[..., :-1]), dim=-1)
        updates = k * (i - m).exp()[..., None], v, (f + previous - m)[..., None]
        read_values = FORMS[self.form](q, *updates)
        return self._output(normalised(read_values, m).transpose(1, 2), mixed, gate), x, updates, m

    def start(self, rows: int, like: Tensor) -> State:
        """Return the convolution's window, zeros ``[B, H, E, E + 1]``, and the stabiliser of an empty memory."""
        head_channels = self.skip.shape[0] // self.heads
        empty = like.new_zeros(rows, self.heads, head_channels, head_channels + 1)
        return self.convolution.start(rows, like), empty, like.new_full((rows, self.heads), -math.inf)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        window, memory, previous = state
        x, gate = self.up(x).chunk(2, dim=-1)
        mixed, window = self.convolution.step(x, window)
        mixed = F.silu(mixed)
        q, k, v, i, f = self._project(x, mixed)
        m = torch.maximum(f + previous, i)
        memory = decay.update(memory, k * (i - m).exp()[..., None], v, (f + previous - m)[..., None])
        return self._output(normalised(decay.read(memory, q), m), mixed, gate), (window, memory, m)

    def _project(self, x: Tensor, mixed: Tensor) -> tuple[Tensor, ...]:
        """Return q, k ``[..., H, E]``, v ``[..., H, E + 1]`` that ends in 1, and the logarithms of both gates."""
        q, k, v = (z.flatten(-2) for z in (self.query(mixed), self.key(mixed), self.value(x)))
        i, f = self.gates(torch.cat((q, k, v), dim=-1)).chunk(2, dim=-1)  # [..., H]
        q, k, v = (z.unflatten(-1, (self.heads, -1)) for z in (q, k, v))
        return q, k * k.shape[-1] ** -0.5, F.pad(v, (0, 1), value=1.0), i, F.logsigmoid(f)

    def _output(self, h: Tensor, mixed: Tensor, gate: Tensor) -> Tensor:
        return self.down((self.norm(h) + self.skip * mixed) * F.silu(gate))


def running_maximum(i: Tensor, f: Tensor) -> Tensor:
    """Return ``m_t = max(f_t + m_{t-1}, i_t)`` from ``m_0 = -inf``, all ``[B, H, L]``, detached from the graph."""
    total = f.detach().cumsum(-1)
    return total + (i.detach() - total).cummax(-1).values


def normalised(read_values: Tensor, m: Tensor) -> Tensor:
    """Return ``h`` ``[..., E]`` from the values that a query read from memory and normaliser, ``[..., E + 1]``."""
    values, norm = read_values[..., :-1], read_values[..., -1:]
    return values / torch.maximum(norm.abs(), (-m).exp()[..., None]).clamp(min=torch.finfo(values.dtype).tiny)


class SLSTM(nn.Module):
    """The sLSTM block: a convolution for the gates i and f, the cell, and a gated feed-forward network."""

    def __init__(self, width: int, heads: int, form: str, layer: int, depth: int) -> None:
        super().__init__()
        head_channels, inner = width // heads, round(FEED_FORWARD * width)
        self.convolution = ShortConvolution(width, CONVOLUTION)
        self.gates, self.cells = (BlockDiagonal(heads, head_channels, 2 * head_channels, width) for _ in range(2))
        self.recurrent = nn.Parameter(torch.zeros(heads, head_channels, 4 * head_channels))
        ramp = torch.linspace(0.0, 1.0, head_channels) ** (0.3 + 1.3 * layer / max(depth - 1, 1))
        zeros = torch.zeros(head_channels)
        self.bias = nn.Parameter(torch.cat((zeros, 5.0 - 12.0 * ramp, zeros, zeros)).repeat(heads, 1))
        self.norm = HeadNorm(width)
        self.up, self.down = projections(width, inner, depth)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x)[0]

    def prefill(self, x: Tensor) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        (_, cells), hidden = self.start(x.shape[0], x), []
        mixed, window = self.convolution.prefill(x, silu=True)
        for projected in self._input_projection(x, mixed).unbind(1):
            cells = self._update(projected, cells)
            hidden.append(cells[0])
        return self._output(torch.stack(hidden, dim=1)), (window, cells)

    def start(self, rows: int, like: Tensor) -> State:
        """Return the convolution's window, and h, c, n and m ``[B, H, E]`` before the first position."""
        zeros = like.new_zeros(rows, *self.recurrent.shape[:2])
        return self.convolution.start(rows, like), (zeros, zeros, zeros, zeros - math.inf)

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        window, cells = state
        mixed, window = self.convolution.step(x, window)
        cells = self._update(self._input_projection(x, F.silu(mixed)), cells)
        return self._output(cells[0]), (window, cells)

    def _input_projection(self, x: Tensor, mixed: Tensor) -> Tensor:
        """Return the input terms of the gates i, f, z, o, ``[..., H, 4 E]``."""
        return torch.cat((self.gates(mixed), self.cells(x)), dim=-1) + self.bias

    def _update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        h, c, n, previous = state
        i, f, z, o = (projected + (h.transpose(0, 1) @ self.recurrent).transpose(0, 1)).chunk(4, dim=-1)
        log_forget = F.logsigmoid(f) + previous
        m = torch.maximum(log_forget, i).detach()
        forget, take = (log_forget - m).exp(), (i - m).exp()
        c, n = forget * c + take * z.tanh(), forget * n + take
        return o.sigmoid() * c / n, c, n, m

    def _output(self, h: Tensor) -> Tensor:
        gate, value = self.up(self.norm(h)).chunk(2, dim=-1)
        return self.down(F.gelu(gate) * value)


BLOCKS: dict[str, type[MLSTM] | type[SLSTM]] = {"m": MLSTM, "s": SLSTM}


class XLSTM(Mixer):
    """One xLSTM block without its norm and residual. The blocks of the paper have no further feed-forward.

    Args:
        width: channels ``D``.
        pattern: the blocks from the first layer on, ``m`` for mLSTM and ``s`` for sLSTM, repeated over the layers:
            ``ms`` has the ratio of the paper's xLSTM[1:1], ``mmmmmmms`` that of xLSTM[7:1].
        heads: number of heads ``H``; each must have an even number of channels.
        kernel: the form of mLSTM (``parts/scans/decay.py``). ``auto`` takes ``chunked``, which was the fastest on one
            core (forward and backward of a layer, batch 64: 18 ms against 26 for ``parallel`` and 40 for
            ``recurrent`` at length 20, 290 against 420 and 430 at 200). sLSTM is always a loop.
    """

    native: ClassVar[Block] = Block(feed_forward=None)
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        pattern: str = "ms",
        heads: Positive = 4,
        kernel: Literal["auto", "recurrent", "parallel", "chunked"] = "auto",
    ) -> None:
        super().__init__()
        head_width(width, heads, multiple=2)
        if not pattern or set(pattern) - set(BLOCKS):
            raise ValueError(f"pattern={pattern} must consist of letters m (mLSTM) and s (sLSTM), for example ms")
        self.width, self.pattern, self.heads = width, pattern, heads
        self.form = "chunked" if kernel == "auto" else kernel

    def initialize(self, layer: int, depth: int) -> None:
        """Build the block that the pattern has for this layer; initial values depend on the depth."""
        if depth < len(self.pattern):
            raise ValueError(f"depth={depth} must be at least {len(self.pattern)} for pattern={self.pattern}")
        kind = self.pattern[layer % len(self.pattern)]
        self.block = BLOCKS[kind](self.width, self.heads, self.form, layer, depth)
        self.kernel_in_use = self.form if kind == "m" else "loop"

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.block(x)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Read a prompt with the block."""
        return self.block.prefill(x)

    def start(self, rows: int, like: Tensor) -> State:
        """Return the state of the block."""
        return self.block.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        return self.block.step(x, state)
