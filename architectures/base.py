"""The contract of an architecture: ``forward(source, prefix)`` returns logits.

A model reads *source* tokens and a *prefix*, the answer so far. At every prefix position it predicts the next symbol.
Two kinds of class fulfil the contract:

* a :class:`Mixer` is one layer that mixes information along the sequence. The language model
  (``architectures/language_model.py``) stacks ``depth`` of them. Most architectures are mixers.
* a :class:`SequenceModel` is a complete model. Encoder-decoders are of this kind.

The prefix depends on how the task is asked. In generation it is a start symbol and the answer so far. In readout it is
``<blank>`` tokens, one for each answer symbol. In tagging it is ``None``, and the model predicts one label for each
source position. A model with a decoder still needs decoder inputs in tagging: :class:`EncoderDecoder`
(``parts/encoder_decoder.py``) feeds one blank for each source token. It looks the symbol ``<blank>`` up by name in the
alphabet ``symbols``; in an alphabet without ``<blank>`` it takes the last symbol.

An architecture is one file with one public class of either kind. The file name is the architecture's name, the folder
is its family, and the keyword parameters of ``__init__`` are its options: typed, with defaults.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from torch import Tensor, nn

Positive = Annotated[int, Ge(1)]
Fraction = Annotated[float, Interval(ge=0.0, lt=1.0)]
Eigenvalues = Literal["positive", "signed"]
"""The range of the eigenvalues of a linear recurrence, [0, 1] or [-1, 1] (Grazzi et al. 2024)."""

State = Any
"""State that ``step`` passes from token to token: a tensor, or nested tuples, lists and dicts of tensors."""


class SequenceModel(nn.Module):
    """A model of ``p(next symbol | source, prefix)``.

    Trained parameters are float32 or complex64; those with ``requires_grad=False`` never change. State that changes in
    training belongs in persistent buffers of fixed shape, which are stored with the weights. What a forward changes in
    evaluation mode is discarded.

    Class attributes:
        causal: the logits at prefix position ``t`` do not depend on prefix tokens after ``t``.
            Only causal models can generate.
        online: in tagging, the logits at source position ``t`` do not depend on source tokens after ``t``.
        can_step: ``start`` and ``step`` exist and equal ``forward``.
        reach: the maximum length of ``source + prefix``, or ``None`` for any length.

    A module can name own parameters in ``no_weight_decay``, such as decays and step sizes of a recurrence. Weight decay
    leaves them out, as it does biases, norms and all parameters with one dimension.
    """

    causal: bool = True
    online: bool = True
    can_step: bool = False
    reach: int | None = None

    def __init__(self, symbols: tuple[str, ...]) -> None:
        super().__init__()
        self.symbols = symbols

    @property
    def kernels(self) -> dict[str, str]:
        """The kernels that the last forward pass used, by class name, as a record stores them.

        A module with more than one implementation names the current one in ``kernel_in_use``.
        """
        by_class: dict[str, list[str]] = {}
        for module in self.modules():
            if kernel := getattr(module, "kernel_in_use", None):
                by_class.setdefault(type(module).__name__, []).append(kernel)
        return {name: ", ".join(dict.fromkeys(kernels)) for name, kernels in by_class.items()}

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return logits ``[B, T, V]`` for long ``[B, S]`` and ``[B, T]``; ``[B, S, V]`` if the prefix is ``None``."""
        raise NotImplementedError

    def start(self, source: Tensor) -> State:
        """Read the source ``[B, S]`` and return the state before the first prefix token."""
        raise NotImplementedError

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one prefix token ``[B]``; return its logits ``[B, V]`` and the next state."""
        raise NotImplementedError

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return attention or alignment weights ``[B, (H,) T, S]`` by name; empty for models without attention."""
        return {}

    def fit(self, batches: Iterable[tuple[Tensor, Tensor | None, Tensor]]) -> None:
        """Fit the model to ``(source, prefix, target)`` batches, for models that are trained without gradients.

        The harness calls it repeatedly with new batches. The fitted values are parameters with
        ``requires_grad=False``, which are changed in place. Positions with a negative target are ignored.
        """
        raise NotImplementedError

    @classmethod
    def is_gradient_free(cls) -> bool:
        """Whether this class overrides ``fit``, so that it is not trained by gradients."""
        return cls.fit is not SequenceModel.fit


@dataclass(frozen=True)
class Block:
    """The norms, residual and feed-forward around a mixer.

    ``norm`` is applied before the mixer (``placement="pre"``) or after the residual sum (``"post"``).
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
"""The block of the controlled comparison: pre-LayerNorm before the mixer and before a GELU feed-forward."""


class Lookup(NamedTuple):
    """An input that is a row of a table for each token: ``[B, L, D]`` from tokens ``[B, L]`` and a table ``[V, D]``.

    A layer that multiplies its input by a matrix can multiply the ``V`` rows instead of all ``B * L`` positions.
    """

    tokens: Tensor
    table: Tensor

    def rows(self) -> Tensor:
        """Return the input, ``[B, L, D]``."""
        return F.embedding(self.tokens, self.table)


@dataclass
class Context:
    """Facts about the current forward pass that every layer can read next to its input. Most mixers ignore it.

    tokens: long ``[B, L]``, the stream ``source + prefix``; in a step, long ``[B, 1]``.
    positions: ``[L]``, the position id of every token; long, or float if position ids are interpolated.
    boundary: the length of the source, which is the index of the first prefix token.
    encoding: the position encoding of the model (``architectures/parts/positions``).
    stretch: the length of the source divided by ``reach``, at least 1; scales RoPE's frequencies (``places=ntk``).
    training: whether the model is in training mode, so that random choices are allowed.
    shared: values that a layer passes to later layers, by name.
    lookup: the input of a first layer as a table lookup, where it is one and the mixer ``reads_lookup``.
    """

    tokens: Tensor
    positions: Tensor
    boundary: int
    encoding: Any = None
    stretch: float = 1.0
    training: bool = False
    shared: dict[str, Any] = field(default_factory=dict)
    lookup: Lookup | None = None

    def steps(self) -> list["Context"]:
        """Return the context of each position, as a step has it; all layers that share a context get the same list."""
        if STEPS not in self.shared:
            parts = zip(self.tokens.split(1, dim=1), self.positions.split(1), strict=True)
            self.shared[STEPS] = [
                replace(self, tokens=tokens, positions=position, shared={}, lookup=None) for tokens, position in parts
            ]
        return self.shared[STEPS]


STEPS = "contexts of single positions"
"""The name in ``context.shared`` of the list that :meth:`Context.steps` returns."""


class Mixer(nn.Module):
    """One layer that mixes along the sequence: ``[B, L, D] -> [B, L, D]``.

    ``__init__`` takes the width, then options by keyword. ``start`` and ``step`` are optional; define both or neither.
    A mixer that defines them can also define ``prefill``, which is then faster than a step for each position.

    Class attributes (all have defaults):
        causal: the output at position ``t`` does not depend on positions after ``t``.
        native: the block of the paper.
        position: the position encoding of the paper.
        attends: the mixer supports encodings that act inside attention (RoPE, ALiBi).
        reference: the value of the ``kernel`` option that computes the paper's equation directly.
        heads: the number of attention heads, for encodings that differ between heads.
        reads_positions: the mixer reads ``context.positions`` itself.
        reads_lookup: the mixer reads ``context.lookup`` instead of ``x`` where it is given.
        beside_feed_forward: options that replace defaults in a block that has a feed-forward, for mixers that contain
            one of their own and whose native block therefore has none.
    """

    causal: bool = True
    native: ClassVar[Block] = SHARED_BLOCK
    position: ClassVar[str] = "none"
    attends: bool = False
    reference: ClassVar[str | None] = None
    heads: int = 1
    reads_positions: bool = False
    reads_lookup: bool = False
    beside_feed_forward: ClassVar[Mapping[str, Any]] = {}

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Mix ``x`` ``[B, L, D]``; the output at position ``t`` may use positions up to ``t`` if causal."""
        raise NotImplementedError

    def initialize(self, layer: int, depth: int) -> None:
        """Set what depends on the layer index, 0 to ``depth - 1``; the language model calls it once for each layer."""

    def start(self, rows: int, like: Tensor) -> State:
        """Return the state before the first token for ``rows`` sequences, with device and dtype of ``like``."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Feed one position ``[B, D]``; return its output ``[B, D]`` and the next state."""
        raise NotImplementedError

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Read a whole prompt ``[B, L, D]``, ``L >= 1``; return its outputs ``[B, L, D]`` and the state after it.

        Outputs and state are those of ``start`` and ``L`` times ``step``, which is how this default computes them. The
        tensors of the state have the same places, shapes and dtypes.
        """
        state, outputs = self.start(x.shape[0], x), []
        for x_t, step_context in zip(x.unbind(1), context.steps(), strict=True):
            y, state = self.step(x_t, state, step_context)
            outputs.append(y)
        return torch.stack(outputs, dim=1), state

    def weights(self, x: Tensor, context: Context) -> Tensor | None:
        """Return attention weights ``[B, H, L, L]`` for ``inspect``; ``None`` for mixers without attention."""
        return None

    @property
    def can_step(self) -> bool:
        """Whether this mixer defines ``step``."""
        return type(self).step is not Mixer.step


def state_bytes(state: State) -> int:
    """Return the bytes of all tensors in a nested state."""
    if isinstance(state, Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, dict):
        return sum(state_bytes(value) for value in state.values())
    if isinstance(state, list | tuple):
        return sum(state_bytes(value) for value in state)
    return 0


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return bool ``[Lq, Lk]``, true where a query (row) sees a key (column); the queries are the last positions."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)
