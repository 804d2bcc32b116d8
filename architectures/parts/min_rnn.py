"""Minimal RNNs: gated moving averages whose gates depend on the input only, so that they can be scanned.

Feng et al. 2024, "Were RNNs All We Needed?", sections 3.1 and 3.2, remove the hidden state from the gates of a GRU and
of an LSTM. Both then become::

    h_t = (1 - z_t) * h_{t-1} + z_t * h~_t          z_t = sigmoid(logit(x_t))       h~_t = g(W x_t)

and differ only in ``logit``. The state starts from zero. The paper scans in logarithms (appendix B), which requires
positive candidates: ``g(x) = x + 1/2`` for ``x >= 0`` and ``sigmoid(x)`` below. The scans here multiply decays and
never divide by them. They need no logarithms, so they also support the candidates of section 3, ``g(x) = x``.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Eigenvalues, Mixer, Positive, State
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import diagonal
from architectures.parts.short_convolution import ShortConvolution

AverageKernel = Literal["auto", "recurrent", "chunked", "fla"]
Candidate = Literal["positive", "linear"]

FORMS = {"recurrent": diagonal.loop, "chunked": diagonal.chunked}
GATE_RANGE = {"positive": 1, "signed": 2}
"""The range of the decay: it is ``1 - GATE_RANGE * z``, in [0, 1] or [-1, 1]."""


def positive(x: Tensor) -> Tensor:
    """Return the paper's ``g`` (appendix B.3), positive, continuous and increasing."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


class GatedAverage(Mixer):
    """Convolution, gated average, output map. Subclasses define the gate.

    Args:
        width: channels ``D``.
        expand: state channels for each channel of the stream.
        conv: number of positions that the convolution before the average mixes.
        candidate: ``positive`` is ``g`` of appendix B, with which the paper trains; ``linear`` is that of section 3.
        eigenvalues: ``positive`` as in the paper, ``1 - z`` in [0, 1], or ``signed``, ``1 - 2z`` in [-1, 1], with which
            one layer can count modulo two (Grazzi et al. 2024).
        kernel: ``recurrent`` is the equation, step by step; ``chunked`` scans chunks in parallel; ``fla`` is a Triton
            kernel of flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is installed, ``chunked`` on other
            GPUs, and ``recurrent`` on a CPU.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="gelu")
    reference: ClassVar[str] = "recurrent"
    gates: ClassVar[int]

    def __init__(
        self,
        width: int,
        *,
        expand: Positive = 2,
        conv: Positive = 4,
        candidate: Candidate = "positive",
        eigenvalues: Eigenvalues = "positive",
        kernel: AverageKernel = "auto",
    ) -> None:
        super().__init__()
        # The kernel takes logarithms of decays, so decays cannot be negative.
        cannot = "supports positive eigenvalues only" if eigenvalues == "signed" else ""
        self.choice = choose(kernel, fla.KERNEL, cpu="recurrent", cuda="chunked", cannot=cannot)
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.positive, self.gate_range = candidate == "positive", GATE_RANGE[eigenvalues]
        self.inner = expand * width
        self.convolution = ShortConvolution(width, conv)
        self.into = nn.Linear(width, (self.gates + 1) * self.inner)
        self.out = nn.Linear(self.inner, width)

    def logit(self, *gates: Tensor) -> Tensor:
        """Return the logit of ``z`` from the linear maps of the input, ``[..., E]`` each."""
        raise NotImplementedError

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.out(self._scan(self.convolution(x)))

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        x, window = self.convolution.prefill(x)
        h = self._scan(x)
        return self.out(h), (window, h[:, -1])

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolution and the state ``[B, E]``."""
        return self.convolution.start(rows, like), like.new_zeros(rows, self.inner)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, h = state
        x, window = self.convolution.step(x, window)
        logit, candidate = self._project(x)
        h = self._decay(logit) * h + logit.sigmoid() * candidate
        return self.out(h), (window, h)

    def _scan(self, x: Tensor) -> Tensor:
        """Return all states ``[B, L, E]`` for the convolved input."""
        logit, candidate = self._project(x)
        inputs = logit.sigmoid() * candidate
        form = form_for(self, x)
        if form == "fla":
            return fla.diagonal(F.logsigmoid(-logit), inputs)
        return FORMS[form](self._decay(logit), inputs)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        *gates, candidate = self.into(x).chunk(self.gates + 1, dim=-1)
        return self.logit(*gates), positive(candidate) if self.positive else candidate

    def _decay(self, logit: Tensor) -> Tensor:
        return 1 - self.gate_range * logit.sigmoid()
