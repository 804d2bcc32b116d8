"""State dicts of our attention and transformer layers under torch's parameter names, to compare with torch's layers."""

import torch
from torch import Tensor, nn

from architectures.parts.attention import MultiHead

Weights = dict[str, Tensor]


def named(name: str, weights: Weights) -> Weights:
    """Prefix parameter names with a module's name."""
    return {f"{name}.{key}": value for key, value in weights.items()}


def linear(module: nn.Module) -> Weights:
    """Return weight and bias of a linear map or a norm."""
    return dict(module.named_parameters())


def multi_head(part: MultiHead) -> Weights:
    """Return the weights under the names of ``nn.MultiheadAttention``."""
    stacked = {
        "in_proj_weight": torch.cat((part.query.weight, part.memory.weight)),
        "in_proj_bias": torch.cat((part.query.bias, part.memory.bias)),
    }
    return stacked | named("out_proj", linear(part.out))


def layer(attentions: dict[str, MultiHead], feed_forward: nn.Module, norms: list[nn.Module]) -> Weights:
    """Return the weights under the names of torch's transformer layers; ``norms`` are in the order of use."""
    weights = named("linear1", linear(feed_forward.up)) | named("linear2", linear(feed_forward.down))
    for name, part in attentions.items():
        weights |= named(name, multi_head(part))
    for index, norm in enumerate(norms):
        weights |= named(f"norm{index + 1}", linear(norm))
    return weights
