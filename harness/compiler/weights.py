"""Write a circuit into the parameters of the catalog's ``transformer`` with learned positions.

Nothing of the architecture is changed. Two channels hold a large constant and its negative, so the standard deviation
of every position is that of these two to about seven digits, and the gains of the norms undo it. The mean that a norm
subtracts is the same for all channels. Every form therefore also reads the channel that is always 0, with the weight
that makes the sum of its weights 0. GELU is the identity or 0 for inputs that are at least ``MARGIN`` from 0.

The gains of the two constants are 0. Otherwise a step of an optimizer on the weights that read them would change the
input of every head and unit by thousands.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.compiler.circuit import CIRCLES, INDEX, MINUS, ONE, PLUS, SINK, SLACK, UNIT, Circuit, Form, Layer
from harness.compiler.variables import point

LARGE = float(2**14)
"""The constant of the two channels that set the standard deviation."""

CONFIDENCE = 30.0
"""The logit of the right token; those of all others are 0."""

EXPANSION = 4
"""Hidden units for each channel of the stream."""


@dataclass(frozen=True)
class Size:
    """The least sizes of a transformer that holds a circuit."""

    width: int
    depth: int
    heads: int

    @property
    def parameters(self) -> int:
        """About the number of parameters of the layers."""
        return self.depth * (4 + 2 * EXPANSION) * self.width**2


def size_of(circuit: Circuit) -> Size:
    """Return the least sizes; a head is as wide as the widest of the circuit, and a multiple of two."""
    heads = [head for layer in circuit.layers for head in layer.heads]
    head_width = max((max(len(head.scores), len(head.values)) for head in heads), default=1)
    units = max(len(layer.units) for layer in circuit.layers)
    width = max(circuit.most_heads * head_width, len(circuit.ready), math.ceil(units / EXPANSION))
    multiple = 2 * circuit.most_heads
    return Size(math.ceil(width / multiple) * multiple, len(circuit.layers), circuit.most_heads)


class Writer:
    """Writes the parameters of one model, given by name; all others become 0.

    Args:
        parameters: the parameters of a model that is at least as large as the circuit needs.
        width, heads: the sizes of the model.
    """

    def __init__(self, parameters: dict[str, Tensor], width: int, heads: int) -> None:
        self.parameters, self.width, self.heads = parameters, width, heads
        for tensor in parameters.values():
            tensor.zero_()

    def write(self, circuit: Circuit, tokens: dict[int, list[int]], output: dict[int, Form]) -> None:
        """Write a circuit.

        Args:
            circuit: the layers.
            tokens: the channels that are 1 for each token id.
            output: for each token id the form that is 1 where it comes next.
        """
        self._embed(tokens)
        for name in [name for name in self.parameters if name.endswith("norm.weight")]:
            gains = self.parameters[name]
            gains.fill_(math.sqrt(2 * LARGE**2 / self.width))
            gains[[PLUS, MINUS]] = 0.0
        for index, layer in enumerate(circuit.layers):
            self._attend(f"layers.{index}.mixer.attention", layer)
            self._feed(f"layers.{index}.feed_forward", layer)
        for token, form in output.items():
            self._read("head", token, form, CONFIDENCE)

    def _embed(self, tokens: dict[int, list[int]]) -> None:
        """Write the embedding of the tokens, the two constants, and the positions after the sink."""
        embedding, table = self.parameters["embedding.weight"], self.parameters["encoding.table.weight"]
        embedding[:, PLUS], embedding[:, MINUS] = LARGE, -LARGE
        for token, channels in tokens.items():
            embedding[token, channels] = 1.0
        positions = torch.arange(len(table) - 1)
        table[1:, INDEX] = positions / UNIT
        table[1:, CIRCLES.start : CIRCLES.stop] = torch.tensor([point(position) for position in positions.tolist()])
        table[0, SINK] = 1.0

    def _attend(self, name: str, layer: Layer) -> None:
        size, out = self.width // self.heads, self.parameters[f"{name}.out.weight"]
        for number, head in enumerate(layer.heads):
            first = number * size
            for row, (query, key) in enumerate(head.scores, first):
                self._read(f"{name}.query", row, query, math.sqrt(size))
                self._read(f"{name}.memory", row, key)
            for row, (channel, form) in enumerate(head.values.items(), first):
                self._read(f"{name}.memory", self.width + row, form)
                out[channel, row] = 1.0

    def _feed(self, name: str, layer: Layer) -> None:
        for row, unit in enumerate(layer.units):
            self._read(f"{name}.up", row, unit.form)
            for channel, weight in unit.writes.items():
                self.parameters[f"{name}.down.weight"][channel, row] = weight

    def _read(self, name: str, row: int, form: Form, scale: float = 1.0) -> None:
        """Make a row of a linear map compute a form of the normalised stream, whatever the mean of the stream."""
        weight, bias = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        for channel, value in form.items():
            if channel == ONE:
                bias[row] = scale * value
            else:
                weight[row, channel] = scale * value
        weight[row, SLACK] = -scale * sum(value for channel, value in form.items() if channel != ONE)
