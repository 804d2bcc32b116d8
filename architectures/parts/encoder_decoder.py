"""Base class of encoder-decoders: encode the whole source into a state, then decode token by token.

A subclass defines two methods: ``start`` encodes the source, and ``decode`` feeds any number of prefix tokens to the
decoder. The rest of the contract of a :class:`SequenceModel` follows from them.
"""

import torch
from torch import Tensor

from architectures.base import SequenceModel, State


class EncoderDecoder(SequenceModel):
    """A model that is causal in the prefix but not online, because it reads the whole source before the first output.

    Without a prefix (in tagging) it feeds one blank for each source token. The blank is the symbol ``<blank>``, or the
    last symbol of an alphabet without ``<blank>``.
    """

    causal = True
    online = False
    can_step = True

    def __init__(self, symbols: tuple[str, ...]) -> None:
        super().__init__(symbols)
        self.blank = symbols.index("<blank>") if "<blank>" in symbols else len(symbols) - 1

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed prefix tokens ``[B, T]``; return their logits ``[B, T, V]`` and the state after them."""
        raise NotImplementedError

    def decoder_input(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return the prefix, or blanks ``[B, S]`` if it is ``None``."""
        return torch.full_like(source, self.blank) if prefix is None else prefix

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Encode the source and decode the whole prefix."""
        return self.decode(self.decoder_input(source, prefix), self.start(source))[0]

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Decode one token ``[B]``."""
        logits, state = self.decode(token[:, None], state)
        return logits[:, 0], state
