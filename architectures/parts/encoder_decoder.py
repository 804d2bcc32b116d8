"""Encoder-decoders: read the whole source into a state, then decode from it, token by token.

A model of this kind writes two functions: ``start`` encodes the source and ``decode`` feeds prefix tokens to the
decoder, any number of them. The rest of the contract of a :class:`SequenceModel` follows.
"""

import torch
from torch import Tensor

from architectures.base import SequenceModel, State


class EncoderDecoder(SequenceModel):
    """Causal in the prefix; never online, because the whole source is read before the first output.

    Without a prefix as many blanks are fed as the source is long: ``<blank>``, or the last symbol of an alphabet
    that has none.
    """

    causal = True
    online = False
    steps = True

    def __init__(self, symbols: tuple[str, ...]) -> None:
        super().__init__(symbols)
        self.blank = symbols.index("<blank>") if "<blank>" in symbols else len(symbols) - 1

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed prefix tokens ``[B, T]``; return their logits ``[B, T, V]`` and the state after them."""
        raise NotImplementedError

    def fed(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return the prefix, or blanks for one that is ``None``."""
        return torch.full_like(source, self.blank) if prefix is None else prefix

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Encode the source and decode the whole prefix."""
        return self.decode(self.fed(source, prefix), self.start(source))[0]

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Decode one token ``[B]``."""
        logits, state = self.decode(token[:, None], state)
        return logits[:, 0], state
