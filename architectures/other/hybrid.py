"""Hybrid: layers of different kinds in turn, so that a few that attend serve many that carry a state.

Lieber et al. 2024, "Jamba: A Hybrid Transformer-Mamba Language Model", section 2; with a sliding window De et al. 2024,
"Griffin: Mixing Gated Linear Recurrences with Local Attention", section 2, and Ren et al. 2024, "Samba".

Glossary (paper <-> code):
    l          layers of a Jamba block                    <-> the names in pattern
    a : m      attention layers to Mamba layers           <-> how often each name stands in pattern
    window     of local attention (Griffin, Samba)        <-> window

    layer i is of the kind pattern[i mod l], and all stand in the same block (RMSNorm, SwiGLU feed-forward)

Some of these in their order: Jamba ``mamba+mamba+mamba+mamba+transformer+mamba+mamba+mamba``, Samba
``mamba+transformer`` with a window. As in Jamba there are no positions: the recurrences know the order.

Differs from the papers: dense feed-forwards, no mixture of experts; no norms inside the Mamba layers, which Jamba added
to train at 7B parameters; Griffin's recurrence (RG-LRU) is not among the mixers, ``lru`` is its nearest.
"""

import difflib
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.self_attention import Count

HOME = Path(__file__).resolve().parents[1]


class Hybrid(Mixer):
    """One layer of the pattern; which one, it learns in :meth:`initialize`.

    It is causal, attends and steps if its layer does.

    Args:
        width: channels ``D``; must suit every kind of layer in the pattern.
        pattern: names of architectures that are mixers, joined by ``+``, for the layers in their order, from the first
            again after the last. There must be at least as many layers as names.
        heads: of layers that have heads.
        window: how many positions the attention layers see, their own included; 0 for all.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")

    def __init__(
        self, width: int, *, pattern: str = "mamba+transformer", heads: Positive = 4, window: Count = 0
    ) -> None:
        super().__init__()
        self.width, self.heads, self.window, self.pattern = width, heads, window, pattern
        self.kinds = [find_mixer(name.strip()) for name in pattern.split("+")]
        if window and not any(kind.attends and "window" in options_of(kind) for kind in self.kinds):
            raise ValueError(f"window={window}: no layer of pattern={pattern} has a window; leave it out")

    def initialize(self, layer: int, depth: int) -> None:
        """Make the mixer of this layer, which counts the layers of its own kind alone."""
        if depth < len(self.kinds):
            raise ValueError(f"pattern={self.pattern} needs depth={len(self.kinds)} or more; depth={depth} is less")
        kinds = [self.kinds[each % len(self.kinds)] for each in range(depth)]
        same = [each for each, kind in enumerate(kinds) if kind is kinds[layer]]
        self.inner = kinds[layer](self.width, **self._options(kinds[layer]))
        self.inner.initialize(same.index(layer), len(same))
        self.causal, self.attends = self.inner.causal, self.inner.attends
        self.reads_places = self.inner.reads_places

    def _options(self, kind: type[Mixer]) -> dict[str, Any]:
        """Return those of the options that a kind of layer has."""
        given = {"heads": self.heads, **({"window": self.window} if kind.attends else {}), **kind.beside_feed_forward}
        return {name: value for name, value in given.items() if name in options_of(kind)}

    @property
    def steps(self) -> bool:
        """Whether this layer has a stepping form."""
        return self.inner.steps

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.inner(x, context)

    def start(self, rows: int, like: Tensor) -> State:
        """The state of this layer's mixer."""
        return self.inner.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Feed this layer's mixer one position."""
        return self.inner.step(x, state, context)

    def weights(self, x: Tensor, context: Context) -> Tensor | None:
        """The attention weights ``[B, H, L, L]`` of this layer's mixer, if it has any."""
        return self.inner.weights(x, context)


def options_of(kind: type[Mixer]) -> set[str]:
    """Return the names of a mixer's options."""
    return set(inspect.signature(kind).parameters)


def find_mixer(name: str) -> type[Mixer]:
    """Return the mixer ``name``; ``ValueError`` where there is none, with the nearest."""
    files = {file.stem: file for file in HOME.glob("*/[!_]*.py") if file.parent.name != "parts"}
    if name not in files:
        near = difflib.get_close_matches(name, files, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(files))}"
        raise ValueError(f"pattern names {name!r}, which is no architecture; {hint}")
    module = import_module(f"{HOME.name}.{files[name].parent.name}.{name}")
    for each in vars(module).values():
        own = isinstance(each, type) and each.__module__ == module.__name__
        if own and issubclass(each, Mixer) and each is not Hybrid:
            return each
    raise ValueError(f"pattern names {name}, which is no layer but a whole model; take a mixer such as transformer")
