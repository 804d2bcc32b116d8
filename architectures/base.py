"""The contract of an architecture: one forward.

A model answers one question: given the *source* tokens and the answer so far, the *prefix*, which
symbol comes next at every prefix position? Two kinds of class fulfil it:

* a :class:`Mixer` is one layer that mixes information along the sequence. The shell
  (``architectures/shell.py``) stacks ``depth`` of them into a model. Most architectures are mixers.
* a :class:`SequenceModel` is a whole model. Encoder-decoders write their own.

An architecture is one file with one public class of either kind. The file's name is its name, the
folder is its family, and the keyword parameters of ``__init__`` are its options: typed, with defaults.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

Positive = Annotated[int, Ge(1)]
Fraction = Annotated[float, Interval(ge=0.0, lt=1.0)]
Eigenvalues = Literal["positive", "signed"]
"""The range of the eigenvalues of a linear recurrence, [0, 1] or [-1, 1] (Grazzi et al. 2024)."""

State = Any
"""What a stepping form carries from token to token: a tensor, or a nest of tuples, lists and dicts of tensors."""


class SequenceModel(nn.Module):
    """A model of ``p(next symbol | source, prefix)``.

    Class facts:
        causal: the logits at prefix position ``t`` do not depend on prefix tokens after ``t``.
            Only causal models can be asked to generate.
        online: when tagging, the logits at source position ``t`` do not depend on source tokens after ``t``.
        steps: ``start`` and ``step`` exist and equal ``forward``.
        reach: the longest ``source + prefix`` the model can take, ``None`` for any length.
    """

    causal: bool = True
    online: bool = True
    steps: bool = False
    reach: int | None = None

    def __init__(self, symbols: tuple[str, ...]) -> None:
        super().__init__()
        self.symbols = symbols

    @property
    def kernels(self) -> dict[str, str]:
        """The implementations in use, by the class that uses them: those of the last forward, as they are recorded.

        A module that has more than one implementation says which in ``kernel_in_use``.
        """
        found: dict[str, list[str]] = {}
        for module in self.modules():
            if kernel := getattr(module, "kernel_in_use", None):
                found.setdefault(type(module).__name__, []).append(kernel)
        return {name: ", ".join(dict.fromkeys(each)) for name, each in found.items()}

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Long ``[B, S]`` and ``[B, T]`` give logits ``[B, T, V]``; with no prefix, ``[B, S, V]`` for the source."""
        raise NotImplementedError

    def start(self, source: Tensor) -> State:
        """Read the source ``[B, S]`` and return the state before the first prefix token."""
        raise NotImplementedError

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one prefix token ``[B]``; return its logits ``[B, V]`` and the next state."""
        raise NotImplementedError

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Name -> tensor ``[B, (H,) T, S]`` of attention or alignment weights; empty where there is nothing to see."""
        return {}

    def fit(self, batches: Iterable[tuple[Tensor, Tensor | None, Tensor]]) -> None:
        """For models that are fitted without gradients: add what ``(source, prefix, target)`` batches teach.

        Called again and again with further batches. What is learned lives in parameters that ask for no gradient and
        are changed in place; nothing is asked where a target is negative.
        """
        raise NotImplementedError

    @classmethod
    def fits_itself(cls) -> bool:
        """Whether this model has a ``fit`` of its own and is not trained by gradients."""
        return cls.fit is not SequenceModel.fit


@dataclass(frozen=True)
class Block:
    """How a mixer is wrapped: what stands around it in its paper.

    ``norm`` stands before the mixer (``placement="pre"``) or after the residual sum (``"post"``).
    ``feed_forward`` is a second sub-layer of inner width ``expand * width``; ``None`` leaves it out.
    ``final_norm`` is applied once, before the head; ``None`` takes the kind of ``norm``.
    """

    norm: Literal["layer", "rms", "none"] = "layer"
    placement: Literal["pre", "post"] = "pre"
    residual: bool = True
    feed_forward: Literal["gelu", "relu", "swiglu"] | None = "gelu"
    expand: float = 4.0
    final_norm: Literal["layer", "rms", "none"] | None = None


SHARED_BLOCK = Block()
"""The one block of the controlled comparison: pre-LayerNorm around the mixer, then around a GELU feed-forward."""


@dataclass
class Context:
    """What every layer may look at beside its input; built once a forward. Most mixers ignore it.

    tokens: long ``[B, L]``, the stream ``source + prefix``; in a step, long ``[B, 1]``.
    positions: ``[L]``, the place of every token; long, or float where places are squeezed.
    boundary: where the source ends and the prefix begins.
    encoding: the position encoding of the model (``architectures/parts/positions``).
    stretch: how many times longer the source is than those the frequencies of an encoding were made for, at least 1.
    training: whether random choices may be made.
    shared: what layers pass on to later ones, by name.
    """

    tokens: Tensor
    positions: Tensor
    boundary: int
    encoding: Any = None
    stretch: float = 1.0
    training: bool = False
    shared: dict[str, Any] = field(default_factory=dict)


class Mixer(nn.Module):
    """One layer that mixes along the sequence: ``[B, L, D] -> [B, L, D]``.

    Class facts (all have defaults): ``native`` is the block of the paper, ``position`` the encoding the
    paper uses, ``attends`` says that attention-only encodings (RoPE, ALiBi) have a place here, and
    ``reference`` names the value of the ``kernel`` option that reads like the paper's equation.

    ``__init__`` takes the width, then options by keyword. ``start`` and ``step`` are optional and come together.
    ``heads`` is the number of attention heads, for encodings that treat each differently; ``reads_places`` says that it
    looks at ``context.positions`` itself. ``beside_feed_forward`` are the options it wants in a block that has a
    feed-forward, where its native block has none because the mixer brings one of its own.
    """

    causal: bool = True
    native: ClassVar[Block] = SHARED_BLOCK
    position: ClassVar[str] = "none"
    attends: bool = False
    reference: ClassVar[str | None] = None
    heads: int = 1
    reads_places: bool = False
    beside_feed_forward: ClassVar[Mapping[str, Any]] = {}

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Mix ``x`` ``[B, L, D]``; the output at position ``t`` may use positions up to ``t`` if causal."""
        raise NotImplementedError

    def initialize(self, layer: int, depth: int) -> None:
        """Called once by the shell, for what depends on the layer's place, from 0 to ``depth - 1``."""

    def start(self, rows: int, like: Tensor) -> State:
        """Return the state before the first token for ``rows`` sequences; device and dtype as ``like``."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Feed one position ``[B, D]``; return its output ``[B, D]`` and the next state."""
        raise NotImplementedError

    def weights(self, x: Tensor, context: Context) -> Tensor | None:
        """Attention weights ``[B, H, L, L]`` for ``inspect``; ``None`` where there are none."""
        return None

    @property
    def steps(self) -> bool:
        """Whether this mixer has a stepping form."""
        return type(self).step is not Mixer.step


def state_bytes(state: State) -> int:
    """Return the bytes of all tensors in a state, whatever nest they are in."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(state_bytes(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(state_bytes(value) for value in state)
    return 0


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return bool ``[Lq, Lk]``, true where a query (row) may see a key (column); the queries are the last positions."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
