"""Numerics of a run: number format, determinism, TF32 and CUDA graphs.

None of them is part of a cell's identity; all of them are written into its records.
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
    """The model cannot be computed in the number format of the run."""


@dataclass(frozen=True)
class Numerics:
    """How a run computes.

    Args:
        precision: ``bfloat16`` uses torch's autocast. Matrix products of forward and backward take bfloat16;
            parameters, losses and the optimizer stay float32.
        deterministic: allow only deterministic algorithms; an operation that has none raises an error. This changes
            nothing on a CPU, where all of them are deterministic.
        capture: replay training steps on a GPU as CUDA graphs. They run the same kernels, so scores do not change.
    """

    precision: Precision = "float32"
    deterministic: bool = False
    capture: bool = True

    @property
    def resume_conditions(self) -> dict[str, str]:
        """The settings that must not change between a snapshot and the training that resumes from it."""
        return {"number format": self.precision, "determinism": str(self.deterministic)}

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the autocast context in which a forward runs."""
        return torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def forward(self, call: Callable[..., Tensor], device: torch.device, *inputs: Tensor | None) -> Tensor:
        """Call a forward and return its result; raise :class:`PrecisionError` if it works only in float32."""
        if self.precision == "float32":
            return call(*inputs)
        try:
            with self.autocast(device):
                return call(*inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            with torch.autocast(device.type, enabled=False):
                call(*inputs)  # raises the same error again if the number format is not its cause
            reason = str(error).strip().partition("\n")[0]
            raise PrecisionError(f"cannot be computed in bfloat16 ({reason}); use --precision float32") from error

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply the settings to torch while the context is active, and restore the previous ones afterwards.

        TF32 is switched off; torch would otherwise use it in cuDNN's convolutions and recurrences. cuBLAS is
        deterministic only with a workspace of fixed size, which must be configured before its first product.
        """
        matmul, cudnn, deterministic = (
            torch.backends.cuda.matmul,
            torch.backends.cudnn,
            torch.are_deterministic_algorithms_enabled(),
        )
        before = matmul.allow_tf32, cudnn.allow_tf32
        try:
            matmul.allow_tf32 = cudnn.allow_tf32 = False
            _set_deterministic(self.deterministic)
            if self.deterministic:
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            with warnings.catch_warnings():
                # Under autocast a norm has bfloat16 inputs and float32 weights; that is intended, only not fused.
                warnings.filterwarnings("ignore", message="Mismatch dtype between input and weight")
                # Weights are slices of the population's parameter matrix; cuDNN copies them.
                warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
                yield
        finally:
            matmul.allow_tf32, cudnn.allow_tf32 = before
            _set_deterministic(deterministic)


def _set_deterministic(mode: bool) -> None:
    """Switch deterministic algorithms on or off. Torch loads its compiler to do so, in more than a second."""
    if torch.are_deterministic_algorithms_enabled() != mode:
        torch.use_deterministic_algorithms(mode)


FLOAT32 = Numerics()
NO_CAPTURE = Numerics(capture=False)
"""Every kernel is launched by itself, so that a profiler sees the parts of a step."""


def tf32() -> bool:
    """Whether any float32 product may be computed in TF32."""
    return torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
