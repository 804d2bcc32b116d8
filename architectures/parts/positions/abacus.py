"""Abacus: every digit gets its index within its number, so that digits of equal significance get the same vector.

McLeish et al. 2024, "Transformers Can Do Arithmetic with the Right Embeddings", section 3. There is a learned vector
for each index, counted from the first written digit of the number. In training, all indices of a batch are shifted by
one random offset, so that indices beyond the longest number in training are trained.

Consecutive symbols ``0`` to ``9`` form a number. All other symbols have index 0, whose vector is learned too. The
encoding reads tokens only, never the position ids of ``places``.

Differs from the paper: the offset is at most 100 (``k``), and less if ``reach`` minus the stream length is less.
"""

import torch
from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting

FARTHEST_OFFSET = 100


class Abacus(Encoding):
    """A table ``[reach, D]``, initialised normal (0.02); it has no stepping form, because it reads previous tokens."""

    can_step = False
    reads_positions = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        digits = torch.tensor([len(symbol) == 1 and symbol in "0123456789" for symbol in setting.symbols])
        self.register_buffer("is_digit", digits, persistent=False)
        self.table = nn.Embedding(setting.reach, setting.width)
        nn.init.normal_(self.table.weight, std=0.02)

    def embed(self, x: Tensor, context: Context) -> Tensor:
        """Add the vector of each token's index; indices beyond the table take its last vector."""
        index = digit_positions(self.is_digit[context.tokens])  # type: ignore[index]
        if context.training:
            offsets = max(1, min(FARTHEST_OFFSET, len(self.table.weight) - x.shape[1]))
            index = torch.where(index > 0, index + torch.randint(offsets, (1,), device=x.device), index)
        return x + self.table(index.clamp(max=len(self.table.weight) - 1))


def digit_positions(digit: Tensor) -> Tensor:
    """Return the index of each digit in its run of digits, from 1, and 0 for other symbols; from bool ``[B, L]``."""
    index = torch.arange(1, digit.shape[1] + 1, device=digit.device)
    last_other = torch.where(digit, 0, index).cummax(dim=1).values  # the last position that is not a digit
    return torch.where(digit, index - last_other, 0)
