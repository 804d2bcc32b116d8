"""The choice of a mixer's implementation, and kernels for populations that torch cannot batch.

A mixer with a ``kernel`` option has plain forms written in torch, and at most one package with a fast kernel.
:func:`choose` resolves the option. Kernel packages do not support ``torch.func.vmap``. Their files therefore fold the
axis of replicas into another axis, and :func:`fold_replicas` calls that code when ``vmap`` reaches it.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Protocol

import torch
from torch import Tensor

from architectures.parts.kernels import Kernel, require


@dataclass(frozen=True)
class Choice:
    """The forms that a mixer runs on a CPU and on a GPU; ``records`` maps a package to its name and version."""

    cpu: str
    cuda: str
    records: dict[str, str]

    def on(self, device: torch.device) -> str:
        """Return the name of the form for a device."""
        return self.cuda if device.type == "cuda" else self.cpu

    def record(self, device: torch.device) -> str:
        """Return the text that a record stores for a forward pass on a device."""
        form = self.on(device)
        return self.records.get(form, form)


class Choosing(Protocol):
    """A mixer with a choice of forms; ``kernel_in_use`` names the form of the last forward pass."""

    choice: Choice
    kernel_in_use: str


def form_for(mixer: Choosing, x: Tensor) -> str:
    """Return the form that a mixer runs on the device of ``x``, and store its name in ``kernel_in_use``."""
    mixer.kernel_in_use = mixer.choice.record(x.device)
    return mixer.choice.on(x.device)


def choose(kernel: str, package: Kernel | None = None, *, cpu: str, cuda: str, cannot: str = "") -> Choice:
    """Resolve the option ``kernel``; ``cpu`` and ``cuda`` are the plain forms that ``auto`` takes.

    ``auto`` takes the package on a GPU if it is usable, unless ``cannot`` gives a reason why it does not support these
    options. A package that is named but not usable raises :class:`~architectures.parts.kernels.KernelMissing`. A
    package that is named but does not support the options raises ``ValueError``.
    """
    if package is not None and kernel == package.name:
        if cannot:
            raise ValueError(f"kernel={kernel} {cannot}; use auto or {cuda}")
        return Choice(kernel, kernel, {kernel: require(package)})
    if kernel != "auto":
        return Choice(kernel, kernel, {})
    if package is not None and not cannot and package.obstacle() is None:
        return Choice(cpu, package.name, {package.name: require(package)})
    return Choice(cpu, cuda, {})


def suits_hand_gradients(*tensors: Tensor) -> bool:
    """Whether forms with gradients by hand support these tensors: on a CPU, in one format, without autocast.

    They replace many small operations by fewer ones in place. On a GPU, kernels and CUDA graphs serve this purpose.
    """
    formats = {(x.device.type, x.dtype) for x in tensors}
    supported = formats in ({("cpu", torch.float32)}, {("cpu", torch.float64)})
    return supported and not torch.is_autocast_enabled("cpu")


def cuda_package(name: str, extra: str, module: str, distribution: str) -> Kernel:
    """Describe a package that runs on CUDA devices only; ``extra`` installs it, ``module`` must be importable."""

    def obstacle() -> str | None:
        try:
            installed = f"{distribution} {version(distribution)}"
        except importlib.metadata.PackageNotFoundError:
            return f'{distribution} is not installed; pip install "lengthwise[{extra}]"'
        if not torch.cuda.is_available():
            return f"{installed} needs a CUDA device"
        try:
            importlib.import_module(module)
        except Exception as error:
            return f"{installed} does not import: {error}"
        return None

    return Kernel(name, obstacle, lambda: version(distribution))


def fold_replicas(folded: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call ``folded`` under ``torch.func.vmap``, on tensors ``[R, ...]`` that hold all replicas.

    ``folded`` returns ``[R, ...]``. It runs outside ``vmap``, so that autograd uses the gradients of the operations it
    calls. This supports ``vmap`` of a forward pass followed by one ``backward``, but not ``vmap`` of a gradient.
    """
    return _Fold.apply(folded, *tensors)


class _Fold(torch.autograd.Function):
    """A function whose ``vmap`` rule receives the tensors of all replicas."""

    @staticmethod
    def forward(folded: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        raise RuntimeError("fold_replicas was called outside of torch.func.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Save nothing."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], folded: Callable[..., Tensor], *tensors: Tensor
    ) -> tuple[Tensor, int]:
        """Move the axis of replicas to the front of every tensor."""
        stacked = [
            x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(tensors, in_dims[1:], strict=True)
        ]
        return folded(*stacked), 0
