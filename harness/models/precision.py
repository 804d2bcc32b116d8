"""How numbers are computed: their format, and what a device may not do to be faster.

None of this is part of what a cell is; all of it is in its record.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Precision = Literal["float32", "bfloat16"]


class PrecisionError(RuntimeError):
    """A model that cannot be computed in the number format that was asked for."""


@dataclass(frozen=True)
class Numerics:
    """How a run computes.

    Args:
        precision: ``bfloat16`` is torch's autocast: matrix products of the forward, and with them those of the
            backward, take bfloat16; parameters, losses and the optimizer stay float32.
        deterministic: let torch use deterministic algorithms alone; where an operation has none, it raises. On a CPU
            they all are: nothing changes.
        capture: let a GPU replay training steps as CUDA graphs; the numbers are those of the same kernels.
    """

    precision: Precision = "float32"
    deterministic: bool = False
    capture: bool = True

    @property
    def terms(self) -> dict[str, str]:
        """What two parts of one training must have in common."""
        return {"number format": self.precision, "determinism": str(self.deterministic)}

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return what a forward runs in."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def forward(self, call: Callable[..., Tensor], device: torch.device, *inputs: Tensor | None) -> Tensor:
        """Return what a forward returns; raise :class:`PrecisionError` where only float32 can compute it."""
        if self.precision == "float32":
            return call(*inputs)
        try:
            with self.autocast(device):
                return call(*inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            with torch.autocast(device.type, enabled=False):
                call(*inputs)  # raises where the format is not to error_location
            why = str(error).strip().partition("\n")[0]
            raise PrecisionError(f"cannot be computed in bfloat16 ({why}); use --precision float32") from error

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let nothing but this decide in here; afterwards all is as it was.

        TF32 is off: torch lets cuDNN's convolutions and recurrences take it unasked. cuBLAS is deterministic only with
        a workspace of its own, which has to be named before its first product.
        """
        matmul, cudnn, deterministic = (
            torch.backends.cuda.matmul,
            torch.backends.cudnn,
            torch.are_deterministic_algorithms_enabled(),
        )
        before = matmul.allow_tf32, cudnn.allow_tf32
        try:
            matmul.allow_tf32 = cudnn.allow_tf32 = False
            torch.use_deterministic_algorithms(self.deterministic)
            if self.deterministic:
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            with warnings.catch_warnings():
                # A norm whose input is bfloat16 and whose weight is float32 is what autocast means, only not fused.
                warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight")
                # Weights are slices of the population's matrix; cuDNN takes copies of them.
                warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
                yield
        finally:
            matmul.allow_tf32, cudnn.allow_tf32 = before
            torch.use_deterministic_algorithms(deterministic)


FLOAT32 = Numerics()
NO_CAPTURE = Numerics(capture=False)
"""Every kernel launched by itself, so that what happens in a step can be seen."""


def tf32() -> bool:
    """Whether any float32 product may be computed in TF32."""
    return torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
