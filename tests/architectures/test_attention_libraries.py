"""Attention with its positions equals Hugging Face's: Llama (grouped queries), GPT-NeoX, BLOOM (ALiBi), T5."""

from collections.abc import Callable

import pytest
import torch
from equivalence import assert_close, with_gradients
from torch import Tensor, nn
from transformers import BloomConfig, GPTNeoXConfig, LlamaConfig, T5Config
from transformers.models.bloom.modeling_bloom import BloomAttention, build_alibi_tensor
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXAttention, GPTNeoXRotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaRotaryEmbedding
from transformers.models.t5.modeling_t5 import T5Attention

from architectures.attention.encoder import Encoder
from architectures.attention.transformer import Transformer
from architectures.base import Context
from architectures.parts.positions import Encoding, Setting, make_encoding
from architectures.parts.self_attention import SelfAttention

ROWS, WIDTH, HEADS, LENGTH = 2, 32, 4, 70
HEAD = WIDTH // HEADS
SINGLE = 1e-5
"""Both sides compute angles, or the softmax, in single precision."""

lengths = pytest.mark.parametrize("length", [1, 2, LENGTH])


def mask(length: int) -> Tensor:
    return torch.full((1, 1, length, length), torch.finfo(torch.float64).min, dtype=torch.float64).triu(1)


def encoding_of(position: str) -> Encoding:
    return make_encoding(position, "identity", Setting(WIDTH, HEADS), attends=True).double()


def compare(mixer: SelfAttention, encoding: Encoding, theirs: Callable[[Tensor], Tensor], length: int) -> None:
    """Outputs, and gradients by the input."""
    torch.manual_seed(length)
    x, tokens = torch.randn(ROWS, length, WIDTH, dtype=torch.float64), torch.zeros(ROWS, length, dtype=torch.long)
    context = Context(tokens, torch.arange(length), length, encoding)
    (ours, gradients), (known, expected) = (with_gradients(form, [x]) for form in (lambda x: mixer(x, context), theirs))
    assert_close([ours], [known], SINGLE)
    assert_close(gradients, expected, SINGLE)


def fill(mixer: SelfAttention, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear) -> None:
    """Give our projections the weights of four of theirs; where they have no biases, ours are zero."""
    ours = [(mixer.attention.query, [query]), (mixer.attention.memory, [key, value]), (mixer.attention.out, [out])]
    with torch.no_grad():
        for own, parts in ours:
            own.weight.copy_(torch.cat([part.weight for part in parts]))
            biases = [torch.zeros(len(part.weight)) if part.bias is None else part.bias for part in parts]
            own.bias.copy_(torch.cat(biases))


def thirds(fused: nn.Linear) -> list[nn.Linear]:
    """Queries, keys and values of a projection that keeps the three of each head together."""
    parts = [nn.Linear(WIDTH, WIDTH, dtype=torch.float64) for _ in range(3)]
    with torch.no_grad():
        for index, part in enumerate(parts):
            part.weight.copy_(fused.weight.view(HEADS, 3, HEAD, WIDTH)[:, index].flatten(0, 1))
            part.bias.copy_(fused.bias.view(HEADS, 3, HEAD)[:, index].flatten())
    return parts


@lengths
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_llama(groups: int, length: int) -> None:
    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "num_key_value_heads": groups, "attention_bias": True}
    config = LlamaConfig(**sizes, attn_implementation="eager")
    theirs, turns = LlamaAttention(config, 0).double(), LlamaRotaryEmbedding(config)
    mixer = Transformer(WIDTH, heads=HEADS, kv_heads=groups).double()
    fill(mixer, theirs.q_proj, theirs.k_proj, theirs.v_proj, theirs.o_proj)
    places = torch.arange(length)[None]
    compare(mixer, encoding_of("rope"), lambda x: theirs(x, turns(x, places), mask(length))[0], length)


@lengths
def test_gpt_neox(length: int) -> None:
    rotary = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0}
    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "rope_parameters": rotary}
    config = GPTNeoXConfig(**sizes, attn_implementation="eager")
    theirs, turns = GPTNeoXAttention(config, 0).double(), GPTNeoXRotaryEmbedding(config)
    mixer = Transformer(WIDTH, heads=HEADS).double()
    fill(mixer, *thirds(theirs.query_key_value), theirs.dense)
    places = torch.arange(length)[None]
    call = {"attention_mask": mask(length)}
    compare(mixer, encoding_of("rope"), lambda x: theirs(x, position_embeddings=turns(x, places), **call)[0], length)


@lengths
def test_bloom(length: int) -> None:
    theirs = BloomAttention(BloomConfig(hidden_size=WIDTH, n_head=HEADS, hidden_dropout=0.0), 0).double()
    mixer = Transformer(WIDTH, heads=HEADS).double()
    fill(mixer, *thirds(theirs.query_key_value), theirs.dense)
    alibi = build_alibi_tensor(torch.ones(ROWS, length), HEADS, torch.float64)
    compare(mixer, encoding_of("alibi"), lambda x: theirs(x, torch.zeros_like(x), alibi, mask(length))[0], length)


@pytest.mark.parametrize("length", [1, 2, 200])
@pytest.mark.parametrize(("kind", "decoder", "buckets"), [(Transformer, True, 32), (Encoder, False, 64)])
def test_t5(kind: type[SelfAttention], decoder: bool, buckets: int, length: int) -> None:
    """T5 does not scale its scores: our queries are made as much larger as our scale makes them smaller."""
    sizes = {"d_model": WIDTH, "num_heads": HEADS, "d_kv": HEAD, "relative_attention_num_buckets": buckets}
    config = T5Config(**sizes, is_decoder=decoder, dropout_rate=0.0, attn_implementation="eager")
    theirs = T5Attention(config, has_relative_attention_bias=True, layer_idx=0).double().eval()
    mixer, encoding = kind(WIDTH, heads=HEADS).double(), encoding_of("t5")
    fill(mixer, theirs.q, theirs.k, theirs.v, theirs.o)
    with torch.no_grad():
        mixer.attention.query.weight.mul_(HEAD**0.5)
        encoding.table.weight[:buckets] = theirs.relative_attention_bias.weight
    hidden = mask(length) if decoder else None
    compare(mixer, encoding, lambda x: theirs(x, mask=hidden)[0], length)
