"""Abacus: every digit is told its place within its own number, so that digits of equal worth look alike.

McLeish et al. 2024, "Transformers Can Do Arithmetic with the Right Embeddings", section 3. A learned vector for each
place, counted from the number's first written digit; while training all places of a batch are shifted by one random
offset, so that places beyond the longest number in training have been seen.

Symbols that are digits, ``0`` to ``9``, make numbers; all other symbols have place 0, whose vector is learned too. It
looks at tokens alone, never at ``places``.

Differs from the paper: the offset is drawn from what ``reach`` leaves beside the whole stream, up to 100 (``k``).
"""

import torch
from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting

FARTHEST_OFFSET = 100


class Abacus(Encoding):
    """A table ``[reach, D]``, normal with deviation 0.02. A digit's place needs the tokens before it: no stepping."""

    steps = False
    reads_places = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        digits = torch.tensor([len(symbol) == 1 and symbol in "0123456789" for symbol in setting.symbols])
        self.register_buffer("is_digit", digits, persistent=False)
        self.table = nn.Embedding(setting.reach, setting.width)
        nn.init.normal_(self.table.weight, std=0.02)

    def embed(self, x: Tensor, context: Context) -> Tensor:
        """Add the vector of each token's place; places beyond the table take its last one."""
        place = places_in_numbers(self.is_digit[context.tokens])  # type: ignore[index]
        if context.training:
            room = max(1, min(FARTHEST_OFFSET, len(self.table.weight) - x.shape[1]))
            place = torch.where(place > 0, place + torch.randint(room, (1,), device=x.device), place)
        return x + self.table(place.clamp(max=len(self.table.weight) - 1))


def places_in_numbers(digit: Tensor) -> Tensor:
    """Return for bool ``[B, L]`` the place of each digit in its run of digits, from 1, and 0 elsewhere."""
    index = torch.arange(1, digit.shape[1] + 1, device=digit.device)
    before = torch.where(digit, 0, index).cummax(dim=1).values  # the last position that is no digit
    return torch.where(digit, index - before, 0)
