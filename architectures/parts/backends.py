"""Backends: which implementation a mixer runs, and how a population runs through one that torch cannot batch.

A mixer with a ``kernel`` option has plain forms of its own and one package with a fast one at most.
:func:`choose` resolves the option. Packages know nothing of ``torch.func.vmap``; their files fold the axis of
replicas into another one, by hand, and :func:`fold_replicas` calls them at the right moment.
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
    """The forms a mixer runs on a CPU and on a GPU; ``records`` names a package with its version."""

    cpu: str
    cuda: str
    records: dict[str, str]

    def on(self, device: torch.device) -> str:
        """Return the name of the form for a device."""
        return self.cuda if device.type == "cuda" else self.cpu

    def record(self, device: torch.device) -> str:
        """Return what is recorded of a forward on a device."""
        form = self.on(device)
        return self.records.get(form, form)


class Choosing(Protocol):
    """A mixer that has a choice of forms, and says in ``kernel_in_use`` which it took."""

    choice: Choice
    kernel_in_use: str


def form_for(mixer: Choosing, x: Tensor) -> str:
    """Return the form that a mixer runs on the device of ``x``, and record it in ``kernel_in_use``."""
    mixer.kernel_in_use = mixer.choice.record(x.device)
    return mixer.choice.on(x.device)


def choose(kernel: str, package: Kernel | None = None, *, cpu: str, cuda: str, cannot: str = "") -> Choice:
    """Resolve the option ``kernel``; ``cpu`` and ``cuda`` are the plain forms that ``auto`` takes.

    ``auto`` takes the package on a GPU where it is usable, unless ``cannot`` says why it does not serve. A package
    asked for by name that is not usable raises :class:`~architectures.parts.kernels.KernelMissing`, one that does not
    serve ``ValueError``.
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


def cuda_package(name: str, extra: str, module: str, distribution: str) -> Kernel:
    """Describe a package that runs on CUDA devices alone; ``extra`` installs it, ``module`` must be importable."""

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

    ``folded`` returns ``[R, ...]``. It runs below ``vmap``, so the gradient is that of whatever it calls: that serves
    ``vmap`` of a forward followed by one ``backward``. ``vmap`` of a gradient is not served.
    """
    return _Fold.apply(folded, *tensors)


class _Fold(torch.autograd.Function):
    """Exists for its ``vmap``: the place where torch hands over the tensors of all replicas."""

    @staticmethod
    def forward(folded: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        raise RuntimeError("fold_replicas was called outside of torch.func.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Nothing to keep."""

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], folded: Callable[..., Tensor], *tensors: Tensor
    ) -> tuple[Tensor, int]:
        """Bring the axis of replicas to the front of every tensor."""
        stacked = [
            x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(tensors, in_dims[1:], strict=True)
        ]
        return folded(*stacked), 0
