"""The tensors of a model: parameters that are trained, and frozen parameters and buffers, which are not.

Trained parameters of all models of a population are rows of one matrix. All other tensors keep their shape and number
format. A model whose tensors cannot be trained, or cannot be stored with its weights, has an obstacle.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from architectures.base import SequenceModel

FLOATS = {torch.float32: torch.complex64, torch.float64: torch.complex128}
"""Number formats of trained parameters, with the complex format that goes with each."""

STORED = {
    *FLOATS.keys(),
    *FLOATS.values(),
    *(torch.float16, torch.bfloat16, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
}
"""Number formats that weight files hold."""


def trained_parameters(model: SequenceModel) -> dict[str, Tensor]:
    """Return the parameters that training changes, by name; complex ones first, because they need even offsets.

    These are the parameters with ``requires_grad``. In a model that is fitted without gradients they are those in the
    number format of its first floating-point parameter.
    """
    parameters = dict(model.named_parameters())
    if model.is_gradient_free():
        floats = [p.dtype for p in parameters.values() if p.dtype in FLOATS]
        chosen = {name: p for name, p in parameters.items() if p.dtype == floats[0]} if floats else {}
    else:
        chosen = {name: p for name, p in parameters.items() if p.requires_grad}
    return dict(sorted(chosen.items(), key=lambda item: not item[1].is_complex()))


def untrained_tensors(model: SequenceModel) -> dict[str, Tensor]:
    """Return frozen parameters and buffers by name."""
    trained = trained_parameters(model)
    frozen = {name: p.detach() for name, p in model.named_parameters() if name not in trained}
    return frozen | dict(model.named_buffers())


def stored_names(model: SequenceModel) -> set[str]:
    """Return the names of all parameters and of the buffers in ``state_dict``, which a weight file holds."""
    buffers = {name for name, _ in model.named_buffers()}
    return {name for name, _ in model.named_parameters()} | (buffers & model.state_dict().keys())


def replace_tensor(model: nn.Module, name: str, value: Tensor) -> None:
    """Let a parameter have the memory of ``value``, or let ``value`` take the place of a buffer."""
    path, _, key = name.rpartition(".")
    owner = model.get_submodule(path)
    if key in owner._parameters:
        getattr(owner, key).data = value
    else:
        owner._buffers[key] = value


def obstacle(model: SequenceModel) -> str:
    """Return why a model cannot be trained or stored as its author made it, in one line; empty if it can."""
    return training_obstacle(model) or _storage_obstacle(model)


def training_obstacle(model: SequenceModel) -> str:
    """Return why the parameters of a model cannot be trained, in one line; empty if they can."""
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            return f"parameter {name} has no shape before the first forward; build it with its shape, not as lazy"
    trained = trained_parameters(model)
    if not trained and not model.is_gradient_free():
        return "the model has no parameter with requires_grad=True; it needs at least one"
    is_double = bool(trained) and all(p.dtype in (torch.float64, torch.complex128) for p in trained.values())
    real = torch.float64 if is_double else torch.float32
    for name, values in trained.items():
        if values.dtype not in (real, FLOATS[real]):
            return (
                f"parameter {name} is {values.dtype}, but trained parameters must be {real} or {FLOATS[real]}; "
                "create it in one of them, or freeze it with requires_grad=False"
            )
    return ""


def _storage_obstacle(model: SequenceModel) -> str:
    for name, tensor in untrained_tensors(model).items():
        if tensor.dtype not in STORED or tensor.layout != torch.strided:
            layout = "" if tensor.layout == torch.strided else f" with layout {tensor.layout}"
            return f"{name} is {tensor.dtype}{layout}, which a weight file cannot hold; use a dense torch.float32"
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    names |= {name for name, _ in model.named_buffers(remove_duplicate=False)}
    extra = [
        f"{path}._extra_state".removeprefix(".")
        for path, module in model.named_modules()
        if type(module).get_extra_state is not nn.Module.get_extra_state
    ]
    extra = extra or sorted(model.state_dict().keys() - names)
    if extra:
        return f"its state_dict holds {extra[0]!r}, which is no tensor of the model; keep it in a registered buffer"
    return ""


def aliases(model: nn.Module) -> dict[str, list[str]]:
    """Return all places of each tensor by its first name. A module that is used twice is one place."""
    first: dict[int, str] = {}
    names: dict[str, list[str]] = {}
    for path, module in model.named_modules():
        for key, tensor in (*module._parameters.items(), *module._buffers.items()):
            name = f"{path}.{key}".removeprefix(".")
            if tensor is not None:
                names.setdefault(first.setdefault(id(tensor), name), []).append(name)
    return names


def as_real(tensor: Tensor) -> Tensor:
    """Return a complex tensor as real numbers with a last dimension of two; any other tensor as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


@dataclass(frozen=True)
class RowLayout:
    """The positions of trained parameters in a row of real numbers. A complex number takes two of them.

    Attributes:
        shapes: the shape of each parameter; with a last dimension of two if it is complex.
        complex_names: the names of the complex parameters.
        padding: unused numbers at the end of a row. With complex parameters the length of a row is even, so that a
            complex view of any row has an even offset, which torch requires.
    """

    shapes: Mapping[str, torch.Size]
    complex_names: frozenset[str]
    padding: int

    @classmethod
    def of(cls, parameters: Mapping[str, Tensor]) -> "RowLayout":
        """Return the layout of parameters in this order."""
        shapes = {name: as_real(p.detach()).shape for name, p in parameters.items()}
        complex_names = frozenset(name for name, p in parameters.items() if p.is_complex())
        return cls(shapes, complex_names, sum(s.numel() for s in shapes.values()) % 2 if complex_names else 0)

    def pack(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Return the parameters as a row ``[P]``."""
        parts = [as_real(p.detach()).flatten() for p in parameters.values()]
        if not parts:
            return torch.zeros(0)
        return torch.cat([*parts, parts[0].new_zeros(self.padding)] if self.padding else parts)

    def unpack(self, row: Tensor) -> dict[str, Tensor]:
        """Return the named parameters in a row ``[P]``, as views."""
        parts = row[: len(row) - self.padding].split([shape.numel() for shape in self.shapes.values()])
        named = zip(self.shapes.items(), parts, strict=True)
        views = {name: part.view(shape) for (name, shape), part in named}
        return {n: torch.view_as_complex(v) if n in self.complex_names else v for n, v in views.items()}
