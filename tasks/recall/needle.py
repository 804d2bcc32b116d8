"""Needle: find the one record with a given key among filler letters and records with other keys.

Hsieh et al. 2024 ("RULER") hide sentences in text. Here a record is a few symbols, and an answer is exact. The filler
consists of letters, so only records have keys.
"""

from string import ascii_lowercase
from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream, Task
from tasks.recall._distinct import draw_subset, shuffle
from tasks.validation import NonNegative, Positive, SeveralLetters


class Needle(Task):
    """Write the letters of the value of the queried key.

    The length is the number of filler letters. A record is a key, ``=``, the letters of its value and ``;``. The record
    of the queried key and those of other keys stand at uniform places of the filler. The query is ``?`` and the key.

    Args:
        distractors: number of records with other keys.
        letters: number of letters of a value.
        keys: number of key symbols ``K0``, ``K1``, ..., more than ``distractors``.
        alphabet: number of letters, of filler and values.

    Examples:
        distractors=0: a K3 = b c ; d ? K3 -> b c
        distractors=1,letters=1: K1 = a ; b b K0 = c ; ? K1 -> a
    """

    answer = "readout"
    paper = "Hsieh et al. 2024 (arXiv 2404.06654), needle in a haystack with several keys"

    def __init__(
        self,
        *,
        distractors: NonNegative = 3,
        letters: Positive = 2,
        keys: Annotated[int, Interval(ge=1, le=4096)] = 16,
        alphabet: SeveralLetters = 8,
    ) -> None:
        if distractors >= keys:
            raise ValueError(f"distractors={distractors}: must be less than keys={keys}; the nearest is {keys - 1}")
        self.records, self.letters, self.keys, self.alphabet = distractors + 1, letters, keys, alphabet
        self.symbols = (*ascii_lowercase[:alphabet], *(f"K{i}" for i in range(keys)), "=", ";", "?")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the filler and the records, put each record before some filler letter, and ask for one key."""
        equals, end, question = range(self.alphabet + self.keys, self.alphabet + self.keys + 3)
        keys = self.alphabet + shuffle(stream, draw_subset(stream, self.keys, self.records))[..., None]
        values = stream.integers(self.alphabet, self.records, self.letters)
        records = torch.cat((keys, torch.full_like(keys, equals), values, torch.full_like(keys, end)), dim=2)
        filler_before = stream.integers(length + 1, self.records).sort(1).values
        number, width = torch.arange(self.records, device=keys.device), records.shape[2]
        position = (filler_before + number * width)[..., None] + torch.arange(width, device=keys.device)
        taken = torch.zeros(len(keys), length + self.records * width, dtype=torch.bool, device=keys.device)
        taken = taken.scatter(1, position.flatten(1), True)
        letters = stream.integers(self.alphabet, taken.shape[1])
        text = torch.where(taken, letters.scatter(1, position.flatten(1), records.flatten(1)), letters)
        asked = keys[..., 0].gather(1, stream.integers(self.records, 1))
        return torch.cat((text, torch.full_like(asked, question), asked), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Find the key, which stands once before the query, and read the letters two places further."""
        place = (source[:, :-1] == source[:, -1:]).byte().argmax(1, keepdim=True)
        return source.gather(1, place + 2 + torch.arange(self.letters, device=source.device))

    def events_since(self, source: Tensor) -> Tensor:
        """Return for each letter of the value the number of symbols between its record and the question."""
        place = (source[:, :-1] == source[:, -1:]).byte().argmax(1, keepdim=True)
        return (source.shape[1] - 2 - (place + self.letters + 3)).expand(-1, self.letters)
