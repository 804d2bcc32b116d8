"""Differential attention equals transformers' DiffLlama with the same weights; two equal maps leave a share of one."""

import pytest
import torch
from equivalence import assert_close, assert_same, context_of
from torch import Tensor

from architectures.attention.differential import Differential
from architectures.base import Context
from architectures.parts.positions.base import Setting
from architectures.parts.positions.rope import RoPE, angles

WIDTH, HEADS, LAYER = 16, 2, 3
E = WIDTH // (2 * HEADS)


def mixer() -> tuple[Differential, Tensor]:
    torch.manual_seed(0)
    ours = Differential(WIDTH, heads=HEADS)
    ours.initialize(LAYER, 6)
    return ours, torch.randn(2, 9, WIDTH)


def with_rope(x: Tensor) -> Context:
    context = context_of(x)
    context.encoding = RoPE(Setting(WIDTH, 2 * HEADS))
    return context


def test_equals_diff_llama() -> None:
    theirs = pytest.importorskip("transformers.models.diffllama.modeling_diffllama")
    from transformers import DiffLlamaConfig

    ours, x = mixer()
    sizes = {"hidden_size": WIDTH, "num_attention_heads": 2 * HEADS, "num_key_value_heads": 2 * HEADS}
    config = DiffLlamaConfig(**sizes, attention_bias=True, rms_norm_eps=1e-5, attn_implementation="eager")
    attention = theirs.DiffLlamaAttention(config, LAYER)
    part = ours.attention
    keys, values = (dict(zip(("weight", "bias"), z, strict=True)) for z in halves(part.memory))
    # Their first maps come before all second ones, and the two halves of the values of a head lie in two heads.
    order = torch.arange(2 * HEADS).unflatten(0, (HEADS, 2)).T.flatten()
    channels = torch.arange(WIDTH).unflatten(0, (2 * HEADS, E))[order].flatten()
    weights = {f"q_proj.{name}": z[channels] for name, z in part.query.named_parameters()}
    weights |= {f"k_proj.{name}": z[channels] for name, z in keys.items()}
    weights |= {f"v_proj.{name}": z[channels] for name, z in values.items()}
    weights |= {f"o_proj.{name}": z for name, z in part.out.named_parameters()}
    for index in (0, 1):
        weights |= {f"lambda_q{index + 1}": part.lambda_q[index], f"lambda_k{index + 1}": part.lambda_k[index]}
    attention.load_state_dict(weights)
    cos, sin = (z[0] for z in angles(torch.zeros(1, 1, 9, E), torch.arange(9)))
    rope = cos[None], sin[:, E // 2 :].repeat(1, 2)[None]
    mask = torch.full((9, 9), -1e9).triu(1)[None, None]
    assert_same(lambda x: ours(x, with_rope(x)), lambda x: attention(x, rope, mask)[0], [x])


def halves(linear: torch.nn.Linear) -> list[tuple[Tensor, Tensor]]:
    """Return weight and bias of the maps to keys and to values."""
    return list(zip(linear.weight.chunk(2), linear.bias.chunk(2), strict=True))


def test_the_difference_of_a_map_with_itself_leaves_a_share_of_it() -> None:
    """With equal queries and keys in a pair, the norm takes off the factor 1 - lambda, and attention is left."""
    ours, x = mixer()
    part = ours.double().attention
    with torch.no_grad():
        for rows in (part.query.weight, part.query.bias, part.memory.weight[:WIDTH], part.memory.bias[:WIDTH]):
            pairs = rows.unflatten(0, (HEADS, 2, E))
            pairs[:, 1] = pairs[:, 0]
    x = x.double()
    context = with_rope(x)
    weights = ours.weights(x, context)[:, ::2]
    values = part.memorize(x)[1]
    means = torch.nn.functional.rms_norm(weights @ values, (2 * E,), eps=1e-5 / (1 - part.second_weight().item()) ** 2)
    expected = part.out((1 - part.first) * means.transpose(1, 2).flatten(2))
    assert_close([ours(x, with_rope(x))], [expected])
