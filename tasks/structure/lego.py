"""LEGO: resolve a chain of assignments that are written in any order.

Zhang et al. 2022 ("Unveiling Transformers with LEGO"): ``a = + 1``, ``b = - a``, ... They label every variable. Here,
as in Kazemnejad et al. 2023 ("The Impact of Positional Encoding on Length Generalization in Transformers"), the query
is one variable.

The query is drawn uniformly from the variables of the chain. If it were always the last one, the parity of all minus
signs would answer every question without resolving a single assignment; ``ask=last`` gives that easier question.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import Positive


class Lego(Task):
    """Write the sign of one variable of the chain, which is named at the end.

    The length is the number of clauses, one for each variable. The variables are a uniform choice in uniform order
    along the chain; both signs are equally likely.

    Args:
        variables: number of variable symbols ``x0``, ``x1``, ..., which is also the longest chain.
        order: order of the clauses, ``shuffled`` or along the ``chain``.
        ask: ``any`` variable of the chain, drawn uniformly, or the ``last`` one.

    Examples:
        x3 = - x1 ; x1 = - 1 ; ? x3 -> +
        x0 = - 1 ; ? x0 -> -
        x3 = - x1 ; x1 = - 1 ; ? x1 -> -
        order=chain: x2 = + 1 ; x0 = - x2 ; x5 = + x0 ; ? x5 -> -
    """

    answer = "readout"
    paper = "Zhang et al. 2022 (arXiv 2206.04301); Kazemnejad et al. 2023 (arXiv 2305.19466)"

    def __init__(
        self,
        *,
        variables: Positive = 128,
        order: Literal["shuffled", "chain"] = "shuffled",
        ask: Literal["any", "last"] = "any",
    ) -> None:
        self.variables, self.shuffled, self.ask_last = variables, order == "shuffled", ask == "last"
        if self.ask_last:
            self.known_shortcuts = ("counts modulo 2 and 3",)
        self.symbols = (*(f"x{i}" for i in range(variables)), "1", "+", "-", "=", ";", "?")
        self.lengths = range(1, variables + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a chain, write its clauses and shuffle them."""
        one, plus, equals, end, query = (self.variables + offset for offset in (0, 1, 3, 4, 5))
        chain = stream.permutation(self.variables)[:, :length]
        previous = F.pad(chain[:, :-1], (1, 0), value=one)
        signs = plus + stream.integers(2, length)
        equals_signs, ends = (torch.full_like(chain, token) for token in (equals, end))
        clauses = torch.stack((chain, equals_signs, signs, previous, ends), dim=-1)  # [B, N, 5]
        if self.shuffled:
            clauses = clauses.gather(1, stream.permutation(length)[..., None].expand_as(clauses))
        asked = chain[:, -1:] if self.ask_last else chain.gather(1, stream.integers(length, 1))
        return torch.cat((clauses.flatten(1), torch.full_like(asked, query), asked), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Resolve all variables at once by pointer jumping, which doubles the distance in every round."""
        clauses = source[:, :-2].unflatten(1, (-1, 5))
        left, sign, right = clauses[..., 0], clauses[..., 2] - self.variables - 1, clauses[..., 3]
        rows, count = left.shape
        origin = torch.arange(self.variables + 1, device=source.device).expand(rows, -1).scatter(1, left, right)
        minus = torch.zeros_like(origin).scatter(1, left, sign)
        for _ in range(count.bit_length()):
            minus = minus ^ minus.gather(1, origin)
            origin = origin.gather(1, origin)
        return self.variables + 1 + minus.gather(1, source[:, -1:])
