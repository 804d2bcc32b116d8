"""Our attention and transformer layers under the parameter names of torch's, to call torch's with the same weights."""

import torch
from torch import Tensor, nn

from architectures.parts.attention import MultiHead

Weights = dict[str, Tensor]


def named(name: str, weights: Weights) -> Weights:
    """Put a module's name before its parameters' names."""
    return {f"{name}.{key}": value for key, value in weights.items()}


def linear(module: nn.Module) -> Weights:
    """Weight and bias of a linear map or a norm."""
    return dict(module.named_parameters())


def multi_head(part: MultiHead) -> Weights:
    """Those of ``nn.MultiheadAttention``."""
    stacked = {
        "in_proj_weight": torch.cat((part.query.weight, part.memory.weight)),
        "in_proj_bias": torch.cat((part.query.bias, part.memory.bias)),
    }
    return stacked | named("out_proj", linear(part.out))


def layer(attentions: dict[str, MultiHead], feed_forward: nn.Module, norms: list[nn.Module]) -> Weights:
    """Those of ``nn.TransformerEncoderLayer`` and ``nn.TransformerDecoderLayer``; norms in the order of use."""
    weights = named("linear1", linear(feed_forward.up)) | named("linear2", linear(feed_forward.down))
    for name, part in attentions.items():
        weights |= named(name, multi_head(part))
    for index, norm in enumerate(norms):
        weights |= named(f"norm{index + 1}", linear(norm))
    return weights
