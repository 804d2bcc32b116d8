"""SLiCE: forms agree, its states are products of dense matrices, and one layer can run any automaton."""

import pytest
import torch
from equivalence import assert_close, assert_forms_agree, context_of
from torch import Tensor

from architectures.recurrent.slice import STEP, SLiCE, recurrent

WIDTH = 6


def layer(length: int, **options: object) -> tuple[SLiCE, Tensor]:
    torch.manual_seed(0)
    return SLiCE(WIDTH, **{"block": 3, **options}).double(), torch.randn(3, length, WIDTH, dtype=torch.float64)


@pytest.mark.parametrize("length", [1, 2, 3, 65])
def test_forms_agree(length: int) -> None:
    ours, x = layer(length, kernel="parallel")
    assert_forms_agree(ours, layer(length, kernel="recurrent")[0], x)


@pytest.mark.parametrize("block", [1, 2, 6])
def test_the_state_is_a_product_of_dense_matrices(block: int) -> None:
    mixer, x = layer(9, block=block)
    state = mixer.first(x[:, 0])
    for t in range(1, 9):
        fields = (mixer.field.weight @ x[:, t, :, None])[..., 0] + mixer.field.bias
        dense = torch.stack([torch.block_diag(*row.view(-1, block, block)) for row in fields])
        state = torch.linalg.matmul(torch.eye(WIDTH) + STEP * dense, state[..., None])[..., 0]
    z = state + x[:, -1]
    assert_close([x[:, -1] + mixer(x, context_of(x))[:, -1]], [z + torch.tanh(mixer.mix(z))])


def test_a_full_block_can_run_any_automaton() -> None:
    """With one plus A the transition of a letter, the state stays the unit vector of the automaton's state."""
    table = torch.randint(WIDTH, (WIDTH, WIDTH))  # [letter, state]
    mixer, letters = SLiCE(WIDTH, block=WIDTH).double(), torch.randint(WIDTH, (4, 300))
    one = torch.eye(WIDTH, dtype=torch.float64)
    with torch.no_grad():
        mixer.field.weight.copy_(((one[table].mT - one) / STEP).flatten(1).T)
        mixer.field.bias.zero_()
    states = recurrent(one[:1].expand(4, -1)[:, None], mixer._matrices(one[letters]))
    expected = torch.zeros(4, dtype=torch.long)
    for letter in letters.T:
        expected = table[letter, expected]
    assert torch.equal(states[:, -1, 0].argmax(-1), expected)
