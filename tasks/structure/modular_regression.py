"""Modular regression: infer a linear function from examples of it, and apply it to a new input.

Garg et al. 2022 ("What Can Transformers Learn In-Context?") regress real numbers. Tokens are symbols here, so functions
are linear over the integers modulo a prime, where an answer is exact and follows by Gaussian elimination.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import AtLeastTwo, Positive


class ModularRegression(Task):
    """Write the value of the function at the last input.

    The length is the number of examples. An example is an input of ``dimension`` digits, ``=``, the value and ``;``.
    Each row has its own function, with uniform coefficients. Inputs are uniform. The last one is a random linear
    combination of those before it, so the examples determine its value, also where there are few of them.

    Args:
        dimension: number of digits of an input.
        modulus: the number of digits, a prime.

    Examples:
        1 2 = 3 ; 2 4 -> 1
        0 1 = 2 ; 1 1 = 0 ; 1 0 -> 3
        dimension=1,modulus=3: 2 = 1 ; 1 -> 2
    """

    answer = "readout"
    paper = "Garg et al. 2022 (arXiv 2208.01066), in-context linear regression, modulo a prime"

    def __init__(self, *, dimension: Positive = 2, modulus: AtLeastTwo = 5) -> None:
        check_prime(modulus)
        self.dimension, self.modulus = dimension, modulus
        self.symbols = (*map(str, range(modulus)), "=", ";")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a function, its examples and a combination of their inputs."""
        function = stream.integers(self.modulus, self.dimension)
        inputs = stream.integers(self.modulus, length, self.dimension)
        values = (inputs * function[:, None]).sum(2) % self.modulus
        asked = (inputs * stream.integers(self.modulus, length)[..., None]).sum(1) % self.modulus
        equals, end = (torch.full_like(values, mark) for mark in (self.modulus, self.modulus + 1))
        examples = torch.cat((inputs, torch.stack((equals, values, end), dim=-1)), dim=2)
        return torch.cat((examples.flatten(1), asked), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Eliminate one digit after the other, from the examples and from the last input.

        What is subtracted from the last input are multiples of examples; its value is the sum of theirs.
        """
        size, prime = self.dimension, self.modulus
        examples = source[:, :-size].unflatten(1, (-1, size + 3))
        rows = torch.cat((examples[..., :size], examples[..., size + 1 : size + 2]), dim=2)  # [B, examples, size + 1]
        asked = torch.nn.functional.pad(source[:, -size:], (0, 1))  # the last column is minus the value
        inverse = torch.tensor([pow(number, prime - 2, prime) for number in range(prime)], device=source.device)
        for digit in range(size):
            # An example whose digit is not 0, scaled to 1; a row of zeros where there is none.
            chosen = (rows[..., digit] != 0).byte().argmax(1)[:, None, None].expand(-1, 1, size + 1)
            pivot = rows.gather(1, chosen)
            pivot = pivot * inverse[pivot[..., digit : digit + 1]] % prime
            rows = (rows - rows[..., digit : digit + 1] * pivot) % prime
            asked = (asked - asked[:, digit : digit + 1] * pivot[:, 0]) % prime
        return (-asked[:, -1:]) % prime


def check_prime(modulus: int) -> None:
    """Raise :class:`ValueError`, which names the nearest prime, unless the modulus is one."""
    if not is_prime(modulus):
        nearest = next(near for gap in range(modulus) for near in (modulus - gap, modulus + gap) if is_prime(near))
        raise ValueError(f"modulus={modulus}: must be a prime; the nearest is {nearest}")


def is_prime(number: int) -> bool:
    """Whether a number of at least 2 is a prime, by trial division."""
    return all(number % divisor for divisor in range(2, int(number**0.5) + 1))
