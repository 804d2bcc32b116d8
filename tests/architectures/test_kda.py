"""Kimi Delta Attention equals flash-linear-attention's loop, and Gated DeltaNet's rule where a head has one decay."""

import pytest
import torch
from equivalence import assert_close, assert_same, context_of
from fakes import naive
from torch import Tensor

from architectures.linear.kda import FORMS, KDA
from architectures.parts.scans import delta


def layer(**options: object) -> tuple[KDA, Tensor]:
    """Return a layer in double precision and an input."""
    torch.manual_seed(0)
    return KDA(12, heads=2, **options).double(), torch.randn(2, 33, 12, dtype=torch.float64)


@pytest.mark.parametrize("eigenvalues", ["positive", "signed"])
def test_the_scan_is_that_of_flash_linear_attention(eigenvalues: str) -> None:
    kda, x = layer(eigenvalues=eigenvalues)
    q, written, v, _, _, log_decay = kda._project(kda.convolution(kda.into(x), silu=True), x)
    beta = kda.largest_rate * torch.sigmoid(kda.rate(x)).detach().float()
    inputs = [q, written / beta.transpose(1, 2)[..., None], v, log_decay]

    def theirs(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> Tensor:
        first = [z.transpose(1, 2) for z in (q, k, v, g)]
        return naive("kda/naive.py").naive_recurrent_kda(*first, beta, scale=1.0)[0].transpose(1, 2)

    def ours(q: Tensor, k: Tensor, v: Tensor, g: Tensor) -> Tensor:
        written = beta.transpose(1, 2)[..., None] * k
        return FORMS["chunked"](q, written, v, -k * g.exp(), written, g)

    assert_same(ours, theirs, [z.detach().float() for z in inputs])


def test_one_decay_for_each_head_is_gated_deltanet() -> None:
    kda, x = layer()
    q, written, v, _, _, log_decay = kda._project(kda.convolution(kda.into(x), silu=True), x)
    beta = torch.sigmoid(kda.rate(x)).transpose(1, 2)[..., None]
    k, same = written / beta, log_decay[..., :1]
    every = same.expand_as(log_decay)
    ours = FORMS["recurrent"](q, written, v, -k * every.exp(), written, every)
    assert_close([ours], [delta.recurrent(q, k, v, beta, same)])


def test_forms_are_one_function() -> None:
    reference, x = layer(kernel="recurrent")
    expected = reference(x, context_of(x))
    for form in ("chunked", "stepwise", "auto"):
        other, _ = layer(kernel=form)
        other.load_state_dict(reference.state_dict())
        assert_close([other(x, context_of(x))], [expected])
