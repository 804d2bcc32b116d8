"""Hybrid: layers of different kinds in alternation, for example a few attention layers among recurrent ones.

Lieber et al. 2024, "Jamba: A Hybrid Transformer-Mamba Language Model", section 2; with a sliding window De et al. 2024,
"Griffin: Mixing Gated Linear Recurrences with Local Attention", section 2, and Ren et al. 2024, "Samba".

Glossary (paper <-> code):
    l          layers of a Jamba block                    <-> the names in pattern
    a : m      attention layers to Mamba layers           <-> how often each name occurs in pattern
    window     of local attention (Griffin, Samba)        <-> window

    layer i is of the kind pattern[i mod l], and all layers have the same block (RMSNorm, SwiGLU feed-forward)

The pattern of Jamba is ``mamba+mamba+mamba+mamba+transformer+mamba+mamba+mamba``, that of Samba ``mamba+transformer``
with a window. As in Jamba there is no position encoding, because the recurrent layers encode the order.

Differs from the papers: dense feed-forwards, no mixture of experts; no norms inside the Mamba layers, which Jamba added
to train at 7B parameters. Griffin's recurrence (RG-LRU) is not among the mixers; ``lru`` is the most similar one.
"""

import difflib
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.self_attention import Count

PACKAGE = Path(__file__).resolve().parents[1]


class Hybrid(Mixer):
    """One layer of the pattern; :meth:`initialize` selects its kind by the layer index.

    ``causal``, ``attends`` and ``steps`` are those of the selected mixer.

    Args:
        width: channels ``D``; must be valid for every kind of layer in the pattern.
        pattern: names of mixers, joined by ``+``, one for each layer in order; the pattern repeats after the last name.
            There must be at least as many layers as names.
        heads: number of heads in layers that have heads.
        window: how many positions an attention layer sees, its own included; 0 for all.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")

    def __init__(
        self, width: int, *, pattern: str = "mamba+transformer", heads: Positive = 4, window: Count = 0
    ) -> None:
        super().__init__()
        self.width, self.heads, self.window, self.pattern = width, heads, window, pattern
        self.kinds = [find_mixer(name.strip()) for name in pattern.split("+")]
        if window and not any(kind.attends and "window" in options_of(kind) for kind in self.kinds):
            raise ValueError(f"window={window} has no effect: no layer of pattern={pattern} has a window; leave it out")

    def initialize(self, layer: int, depth: int) -> None:
        """Build the mixer of this layer; its layer index and depth count layers of its own kind only."""
        if depth < len(self.kinds):
            raise ValueError(f"depth={depth} must be at least {len(self.kinds)} for pattern={self.pattern}")
        kinds = [self.kinds[index % len(self.kinds)] for index in range(depth)]
        same_kind = [index for index, kind in enumerate(kinds) if kind is kinds[layer]]
        self.inner = kinds[layer](self.width, **self._options(kinds[layer]))
        self.inner.initialize(same_kind.index(layer), len(same_kind))
        self.causal, self.attends = self.inner.causal, self.inner.attends
        self.reads_positions = self.inner.reads_positions

    def _options(self, kind: type[Mixer]) -> dict[str, Any]:
        """Return the options that a kind of layer accepts."""
        values = {"heads": self.heads, **({"window": self.window} if kind.attends else {}), **kind.beside_feed_forward}
        return {name: value for name, value in values.items() if name in options_of(kind)}

    @property
    def can_step(self) -> bool:
        """Whether this layer's mixer defines ``step``."""
        return self.inner.can_step

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.inner(x, context)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Read a prompt with this layer's mixer."""
        return self.inner.prefill(x, context)

    def start(self, rows: int, like: Tensor) -> State:
        """Return the initial state of this layer's mixer."""
        return self.inner.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Feed this layer's mixer one position."""
        return self.inner.step(x, state, context)

    def weights(self, x: Tensor, context: Context) -> Tensor | None:
        """Return the attention weights ``[B, H, L, L]`` of this layer's mixer, or ``None``."""
        return self.inner.weights(x, context)


def options_of(kind: type[Mixer]) -> set[str]:
    """Return the names of a mixer's options."""
    return set(inspect.signature(kind).parameters)


def find_mixer(name: str) -> type[Mixer]:
    """Return the mixer ``name``; ``ValueError`` if there is none, with the nearest name."""
    files = {file.stem: file for file in PACKAGE.glob("*/[!_]*.py") if file.parent.name != "parts"}
    if name not in files:
        matches = difflib.get_close_matches(name, files, n=1)
        hint = f"the nearest is {matches[0]}" if matches else f"choose from {', '.join(sorted(files))}"
        raise ValueError(f"pattern contains {name!r}, which is not an architecture; {hint}")
    module = import_module(f"{PACKAGE.name}.{files[name].parent.name}.{name}")
    for value in vars(module).values():
        is_defined_here = isinstance(value, type) and value.__module__ == module.__name__
        if is_defined_here and issubclass(value, Mixer) and value is not Hybrid:
            return value
    raise ValueError(f"pattern contains {name}, which is not a mixer but a complete model; use one such as transformer")
