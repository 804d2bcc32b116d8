"""Equal blocks, ``a^n b^n`` and its longer kin: one counter for two letters, context-sensitive from three on.

Bhattamishra et al. 2020 ("On the Ability and Limitations of Transformers to Recognize Formal Languages"), a^n b^n,
a^n b^n c^n and a^n b^n c^n d^n among their counter languages.
"""

from string import ascii_lowercase

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.counting._counted import Counted
from tasks.languages import Ask
from tasks.limits import within


class AnBn(Counted):
    """Know the words ``a^n b^n``, ``a^n b^n c^n``, ...: recognise them, or say what may come next.

    There is one word of a length, so lengths are multiples of the number of letters where words are to be recognised.
    Of the others half have one block longer at another's cost, by up to its whole length; the rest differ by a letter,
    or by two that have changed places. Where the question is what may come next, rows are the beginnings of words with
    uniform ``n``, from the smallest whose word is long enough up to the length itself.

    Args:
        letters: number of blocks, 2 to 26.
        ask: ``recognise`` (half of the words belong to it), ``next`` (name a symbol that may come next, ``$`` for the
            end) or ``sets`` (name all of them).

    Examples:
        a a b b -> 1
        a a a b -> 0
        a b a b -> 0
        letters=3: a a b b c c -> 1
        ask=sets: a a b b -> a|b a|b b $
        ask=sets,letters=3: a a b b c -> a|b a|b b c c
        ask=next: a a b b -> a b b $
    """

    paper = "Bhattamishra et al. 2020 (arXiv 2009.11264), counter languages"

    def __init__(self, *, letters: int = 2, ask: Ask = "recognise") -> None:
        within("letters", letters, 2, len(ascii_lowercase))
        alphabet = ascii_lowercase[:letters]
        super().__init__(alphabet, ["ab", *alphabet[1:], "$"], ask)
        self.lengths = range(letters, 1 << 24, letters) if ask == "recognise" else range(1, 1 << 24)

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Write the word of this length, or draw a block and write the beginning of its word."""
        shortest = -(-length // len(self.letters))
        longest = shortest if self.ask == "recognise" else length
        block = shortest + stream.integers(longest - shortest + 1, 1)
        return torch.arange(length, device=stream.device) // block

    def spoil(self, word: Tensor, stream: Stream) -> Tensor:
        """Move a part of one block to another in half of the words."""
        blocks = len(self.letters)
        size = word.shape[1] // blocks
        by = 1 + stream.integers(size, 1)
        longer = stream.integers(blocks, 1)
        shorter = (longer + 1 + stream.integers(blocks - 1, 1)) % blocks
        which = torch.arange(blocks, device=word.device)
        sizes = size + by * ((which == longer).long() - (which == shorter).long())  # [B, blocks]
        place = torch.arange(word.shape[1], device=word.device)
        uneven = (place[:, None] >= sizes.cumsum(1)[:, None]).sum(2)
        return torch.where(stream.integers(2, 1).bool(), uneven, super().spoil(word, stream))

    def member(self, word: Tensor) -> Tensor:
        """Compare with the one word of this length."""
        length, blocks = word.shape[1], len(self.letters)
        only = torch.arange(length, device=word.device) * blocks // length
        return (word == only).all(1) & (length % blocks == 0)

    def legal(self, word: Tensor) -> Tensor:
        """Go on with the block until it is as long as the first, which alone may end at any time."""
        first = (word == 0).sum(1, keepdim=True)
        place = torch.arange(word.shape[1], device=word.device)
        same, full = word, place + 1 == first * (word + 1)
        symbol = torch.arange(len(self.letters) + 1, device=word.device)
        on, then = symbol == same[..., None], symbol == same[..., None] + 1
        opening = (word == 0)[..., None]
        return torch.where(opening, on | then, torch.where(full[..., None], then, on))
