"""Models without values, to count parameters and to find out whether options fit together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

RANDOM = (
    *(Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.bernoulli_),
    *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_),
)
"""Functions that draw values into a tensor."""


class _SkipInitialValues(TorchFunctionMode):
    """Skip random initial values. Tensors without memory have none, but torch would load its compiler to draw them."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if function in RANDOM:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))


@contextmanager
def shape_only() -> Iterator[None]:
    """Build models on the device ``meta`` in this context: their tensors have shapes and no memory."""
    with torch.device("meta"), _SkipInitialValues():
        yield
