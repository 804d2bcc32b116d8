"""PaTH attention equals flash-linear-attention's naive form, products of matrices, and attention without positions."""

import math

import pytest
import torch
from equivalence import assert_close, assert_forms_agree, assert_same, context_of
from fakes import naive
from torch import Tensor

from architectures.attention.path import PaTH
from architectures.parts.attention import attend

WIDTH, HEADS = 8, 2


def layer(length: int, **options: object) -> tuple[PaTH, Tensor]:
    torch.manual_seed(0)
    return PaTH(WIDTH, heads=HEADS, **options).double(), torch.randn(2, length, WIDTH, dtype=torch.float64)


def projected(mixer: PaTH, x: Tensor) -> tuple[Tensor, ...]:
    return mixer._project(x, mixer.convolution(mixer.direction(x), silu=True))


def mean(mixer: PaTH, q: Tensor, k: Tensor, v: Tensor, w: Tensor, beta: Tensor) -> Tensor:
    rows = [mixer._weights(scores) @ v[:, :, : scores.shape[-1]] for scores, _ in mixer._chunks(q, k, w, beta)]
    return torch.cat(rows, dim=2)


@pytest.mark.parametrize("length", [1, 2, 65, 130])
def test_forms_agree(length: int) -> None:
    ours, x = layer(length, kernel="chunked")
    assert_forms_agree(ours, layer(length, kernel="recurrent")[0], x)


def test_equals_flash_linear_attention() -> None:
    mixer, x = layer(70)

    def theirs(q: Tensor, k: Tensor, v: Tensor, w: Tensor, beta: Tensor) -> Tensor:
        first = [z.transpose(1, 2) for z in (q, k, v, w)]
        nothing = torch.zeros_like(beta[..., 0]).transpose(1, 2)
        function = naive("path_attn/naive.py").naive_path_attn
        return function(*first, beta[..., 0].transpose(1, 2), nothing, scale=1.0, chunk_size=32).transpose(1, 2)

    inputs = [z.detach().float() for z in projected(mixer, x)]
    assert_same(lambda *z: mean(mixer, *z), theirs, inputs)


def test_scores_are_products_of_householder_matrices() -> None:
    mixer, x = layer(6)
    q, k, _, w, beta = (z[0, 0] for z in projected(mixer, x))
    matrices = [torch.eye(4) - b * torch.outer(d, d) for d, b in zip(w, beta, strict=True)]
    scores = torch.full((6, 6), -math.inf, dtype=torch.float64)
    for i in range(6):
        product = torch.eye(4, dtype=torch.float64)
        for j in range(i, -1, -1):
            scores[i, j] = q[i] @ product @ k[j]
            product = product @ matrices[j]
    assert_close([mixer.weights(x, context_of(x))[0, 0]], [scores.softmax(-1)])


def test_without_reflections_it_is_attention_without_positions() -> None:
    mixer, x = layer(70)
    q, k, v, w, beta = projected(mixer, x)
    assert_close([mean(mixer, q, k, v, w, 0 * beta)], [attend(q * 2, k, v, causal=True, kernel="math")])
