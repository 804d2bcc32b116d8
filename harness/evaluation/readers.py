"""Simple readers: features of an input that are far less than the algorithm of a task needs.

A *lookup reader* sees one small number at each asked position, for example the last token of the source. A *linear
reader* sees a vector, for example how often each symbol occurs. :mod:`harness.evaluation.shortcuts` fits an answer to
what each of them sees.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.presentation import Batch

POSITIONS = 16
"""Positions from the start of an answer that the constant reader tells apart; later ones are one."""
FEW_POSITIONS = 4
"""The same for readers that see a token."""
LENGTHS = 12
"""Lengths are told apart up to this number, and longer ones by their remainder: parity and multiples of 3 show."""

Reader = Callable[[Batch, int], Tensor]
"""Features of a batch for an alphabet of a given size: long ``[B, T]``, or float ``[B, T, F]`` of a linear reader."""


def _positions(batch: Batch, limit: int) -> Tensor:
    """Return the position in the answer up to ``limit``, and one id more for the last position: long ``[1, T]``."""
    count = batch.target.shape[1]
    positions = torch.arange(count, device=batch.target.device).clamp(max=limit - 1)
    positions[-1] = positions[-1] if batch.prefix is None else limit
    return positions[None]


def _stream(batch: Batch, shift: int, alphabet: int) -> Tensor:
    """Return the token ``shift`` places from where the model answers, ``alphabet`` where there is none: ``[B, T]``."""
    tokens = batch.source if batch.prefix is None else torch.cat((batch.source, batch.prefix), dim=1)
    count = batch.target.shape[1]
    places = torch.arange(tokens.shape[1] - count, tokens.shape[1], device=tokens.device) + shift
    inside = (places >= 0) & (places < tokens.shape[1])
    return tokens[:, places.clamp(0, tokens.shape[1] - 1)].masked_fill(~inside, alphabet)


def _with_position(batch: Batch, feature: Tensor) -> Tensor:
    """Tell the first positions of an answer apart."""
    return feature * (FEW_POSITIONS + 1) + _positions(batch, FEW_POSITIONS)


def constant(batch: Batch, alphabet: int) -> Tensor:
    """The position in the answer."""
    return _positions(batch, POSITIONS).expand(batch.target.shape)


def length(batch: Batch, alphabet: int) -> Tensor:
    """The length of the source, by its remainder where it is long."""
    size = batch.source.shape[1]
    feature = size if size < LENGTHS else LENGTHS + size % LENGTHS
    return _with_position(batch, torch.full_like(batch.target, feature))


def first_token(batch: Batch, alphabet: int) -> Tensor:
    """The first token of the source."""
    return _with_position(batch, batch.source[:, :1].expand(batch.target.shape))


def last_token(batch: Batch, alphabet: int) -> Tensor:
    """The last token of the source."""
    return _with_position(batch, batch.source[:, -1:].expand(batch.target.shape))


def both_ends(batch: Batch, alphabet: int) -> Tensor:
    """The first and the last token of the source together."""
    pair = batch.source[:, :1] * (alphabet + 1) + batch.source[:, -1:]
    return _with_position(batch, pair.expand(batch.target.shape))


def current_token(batch: Batch, alphabet: int) -> Tensor:
    """The token at which the model answers: the previous answer token where an answer is generated."""
    return _with_position(batch, _stream(batch, 0, alphabet))


def previous_token(batch: Batch, alphabet: int) -> Tensor:
    """The token before the one at which the model answers."""
    return _with_position(batch, _stream(batch, -1, alphabet))


def next_token(batch: Batch, alphabet: int) -> Tensor:
    """The token after the one at which the model answers; only where source positions are labelled."""
    return _with_position(batch, _stream(batch, 1, alphabet))


def _counts(batch: Batch, alphabet: int) -> Tensor:
    """Return how often each symbol occurs in the source, up to the position that is labelled: float ``[B, T, V]``."""
    ones = F.one_hot(batch.source, alphabet).float()
    if batch.prefix is None:
        return ones.cumsum(1)
    return ones.sum(1, keepdim=True).expand(-1, batch.target.shape[1], -1)


def bag_of_symbols(batch: Batch, alphabet: int) -> Tensor:
    """How often each symbol occurs, as a number and as a fraction."""
    counts = _counts(batch, alphabet)
    total = counts.sum(-1, keepdim=True).clamp(min=1)
    return torch.cat((counts / total, counts.log1p(), _one_hot_position(batch)), dim=-1)


def counts_modulo(batch: Batch, alphabet: int) -> Tensor:
    """How often each symbol occurs, modulo 2 and modulo 3."""
    counts = _counts(batch, alphabet).long()
    parts = [(counts % 2 == 1), (counts % 3 == 1), (counts % 3 == 2)]
    return torch.cat((*(part.float() for part in parts), _one_hot_position(batch)), dim=-1)


def _one_hot_position(batch: Batch) -> Tensor:
    positions = F.one_hot(_positions(batch, FEW_POSITIONS), FEW_POSITIONS + 1).float()
    return positions.expand(len(batch.target), -1, -1)


LOOKUP_READERS: dict[str, Reader] = {
    "constant": constant,
    "length": length,
    "first token": first_token,
    "last token": last_token,
    "first and last token": both_ends,
    "current token": current_token,
    "previous token": previous_token,
    "next token": next_token,
}
LINEAR_READERS: dict[str, Reader] = {"bag of symbols": bag_of_symbols, "counts modulo 2 and 3": counts_modulo}


def readers_of(mode: str, online: bool) -> dict[str, Reader]:
    """Return the readers of a task by name.

    The next token is left out where no model sees it: before an answer that is generated or read out, and where only
    models that do not look ahead are allowed.
    """
    without = set() if mode == "tag" and not online else {"next token"}
    readers = {**LOOKUP_READERS, **LINEAR_READERS}
    return {name: reader for name, reader in readers.items() if name not in without}
