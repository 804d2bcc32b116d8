"""Equal blocks, ``a^n b^n`` and longer: two letters take one counter, three or more are context-sensitive.

Bhattamishra et al. 2020 ("On the Ability and Limitations of Transformers to Recognize Formal Languages"), a^n b^n,
a^n b^n c^n and a^n b^n c^n d^n among their counter languages.
"""

from string import ascii_lowercase

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.counting._counted import Counted
from tasks.languages import Ask
from tasks.validation import SeveralLetters


class AnBn(Counted):
    """Recognise the words ``a^n b^n``, ``a^n b^n c^n``, ..., or name the symbols that may come next.

    There is one word of each length, so for ``recognise`` the lengths are multiples of the number of letters. Half of
    the non-members have one block longer and another one shorter by the same amount, at most its whole length. The rest
    have one letter changed or two exchanged. For ``next`` and ``sets``, rows are prefixes of words with uniform ``n``,
    from the smallest whose word is long enough up to the length itself.

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

    def __init__(self, *, letters: SeveralLetters = 2, ask: Ask = "recognise") -> None:
        alphabet = ascii_lowercase[:letters]
        super().__init__(alphabet, ["ab", *alphabet[1:], "$"], ask)
        self.lengths = range(letters, 1 << 24, letters) if ask == "recognise" else range(1, 1 << 24)

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Return the word of this length, or draw a block size and return the prefix of its word."""
        shortest = -(-length // len(self.letters))
        longest = shortest if self.ask == "recognise" else length
        block = shortest + stream.integers(longest - shortest + 1, 1)
        return torch.arange(length, device=stream.device) // block

    def corrupt(self, word: Tensor, stream: Stream) -> Tensor:
        """Move a part of one block to another in half of the words."""
        blocks = len(self.letters)
        size = word.shape[1] // blocks
        moved = 1 + stream.integers(size, 1)
        longer = stream.integers(blocks, 1)
        shorter = (longer + 1 + stream.integers(blocks - 1, 1)) % blocks
        block = torch.arange(blocks, device=word.device)
        sizes = size + moved * ((block == longer).long() - (block == shorter).long())  # [B, blocks]
        position = torch.arange(word.shape[1], device=word.device)
        uneven = (position[:, None] >= sizes.cumsum(1)[:, None]).sum(2)
        return torch.where(stream.integers(2, 1).bool(), uneven, super().corrupt(word, stream))

    def is_member(self, word: Tensor) -> Tensor:
        """Compare with the one word of this length."""
        length, blocks = word.shape[1], len(self.letters)
        expected = torch.arange(length, device=word.device) * blocks // length
        return (word == expected).all(1) & (length % blocks == 0)

    def legal_next(self, word: Tensor) -> Tensor:
        """Continue a block until it is as long as the first; only the first block may end at any position."""
        first = (word == 0).sum(1, keepdim=True)
        position = torch.arange(word.shape[1], device=word.device)
        full = position + 1 == first * (word + 1)
        symbol = torch.arange(len(self.letters) + 1, device=word.device)
        same, following = symbol == word[..., None], symbol == word[..., None] + 1
        in_first = (word == 0)[..., None]
        return torch.where(in_first, same | following, torch.where(full[..., None], following, same))
