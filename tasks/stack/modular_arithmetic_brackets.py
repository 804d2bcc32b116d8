"""Modular arithmetic with brackets: evaluate nested expressions, which takes a stack of intermediate values.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), modular arithmetic, a deterministic context-free
task.
"""

from torch import Tensor

from tasks.base import Stream, Task
from tasks.stack._expressions import SIGNS, draw_expression, evaluate
from tasks.validation import AtLeastTwo


class ModularArithmeticBrackets(Task):
    """Evaluate a fully bracketed expression modulo a number.

    The length is that of the expression. An expression of up to four symbols is one number: ``d``, ``-d``, ``(d)`` or
    ``(-d)``. A longer one is ``(L op R)`` with the length of ``L`` uniform from 1 to ``length - 4``; numbers and
    operators are uniform. Products make 0 the most frequent value.

    Args:
        modulus: 2 or more; numbers are ``0`` to ``modulus - 1`` (the paper has 5).
        products: whether ``*`` is among the operators.

    Examples:
        ( 3 - 4 ) -> 4
        ( ( 1 + 3 ) * ( - 2 ) ) -> 2
        ( - 2 - ( 4 * ( 3 ) ) ) -> 1
        - 3 -> 2
        modulus=10: ( 7 * 8 ) -> 6
        products=false: ( 1 - ( 3 - 4 ) ) -> 2
    """

    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, modulus: AtLeastTwo = 5, products: bool = True) -> None:
        self.modulus, self.operators = modulus, 3 if products else 2
        signs = SIGNS if products else SIGNS[:-1]
        self.symbols = (*(str(number) for number in range(modulus)), *signs)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw expressions by splitting the length recursively."""
        return draw_expression(length, self.modulus, self.operators, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Evaluate the brackets, the deepest first."""
        return evaluate(source, self.modulus)
