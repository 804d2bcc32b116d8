"""Bilinear recurrences and PD-SSM: independent forms, special cases, and weights that run an automaton exactly."""

import torch
from equivalence import assert_close, context_of
from torch import Tensor

from architectures.linear.pd_ssm import PDSSM, one_hot_columns
from architectures.recurrent.bilinear import Bilinear
from tasks.tracking.random_machine import RandomMachine, draw_table

WIDTH, LENGTH = 6, 20
TABLE = draw_table(WIDTH - 1, WIDTH, 0)


def inputs(length: int = LENGTH) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, length, WIDTH, dtype=torch.float64)


def test_a_bilinear_state_is_the_product_of_dense_matrices_up_to_its_norm() -> None:
    torch.manual_seed(1)
    mixer, x = Bilinear(WIDTH, state=6, block=2).double(), inputs()
    blocks = mixer._matrices(x)
    state = mixer.first.flatten().expand(3, -1)
    for t in range(LENGTH):
        dense = torch.stack([torch.block_diag(*row) for row in blocks[:, t]])
        state = (dense @ state[..., None])[..., 0]
    expected = mixer.out(state / state.norm(dim=1, keepdim=True))
    assert_close([mixer(x, context_of(x))[:, -1]], [expected])


def test_a_full_transition_can_run_any_automaton() -> None:
    """With a letter's transition as its matrix, the state is the unit vector of the automaton's state at any length."""
    states, task = WIDTH - 1, RandomMachine(states=WIDTH - 1, letters=WIDTH, ask="every")
    letters = torch.randint(WIDTH, (4, 300))
    x = torch.nn.functional.one_hot(letters, WIDTH).double()
    mixer = Bilinear(WIDTH, state=states, block=states).double()
    with torch.no_grad():
        moves = torch.nn.functional.one_hot(TABLE, states).double().mT  # [letter, to, from]
        mixer.transition.weight.copy_(moves.flatten(1).T)
        mixer.first.copy_(torch.eye(states)[:1])
        mixer.out.weight.copy_(torch.eye(WIDTH)[:, :states])
        mixer.out.bias.zero_()
    answer = mixer(x, context_of(x)).argmax(-1) + WIDTH
    assert torch.equal(answer, task.solve(letters))


def test_pd_ssm_equals_a_complex_recurrence() -> None:
    torch.manual_seed(1)
    mixer, x = PDSSM(WIDTH, state=5).double(), inputs()
    soft = torch.einsum("blk,knm->blnm", mixer.choice(x).softmax(-1), mixer.dictionary)
    diagonal = torch.polar(mixer.modulus(x).sigmoid(), 2 * torch.pi * mixer.phase(x).sigmoid())
    write = torch.complex(*mixer.write(x).chunk(2, dim=-1))
    h = torch.eye(5, dtype=torch.complex128)[0].expand(3, -1)
    out = []
    for t in range(LENGTH):
        moved = torch.zeros_like(h).scatter_add(1, soft[:, t].argmax(1), diagonal[:, t] * h)  # each state to its place
        h = moved + write[:, t]
        out.append(mixer.read(torch.cat((h.real, h.imag), dim=1)) + mixer.skip * x[:, t])
    assert_close([mixer(x, context_of(x))], [torch.stack(out, dim=1)])


def test_pd_ssm_that_moves_nothing_is_a_diagonal_recurrence() -> None:
    mixer, x = PDSSM(WIDTH, state=5, matrices=1).double(), inputs()
    with torch.no_grad():
        mixer.dictionary.copy_(10 * torch.eye(5))
    _, diagonal, write = mixer._project(x)
    factors, added = torch.complex(*diagonal.unbind(2)), torch.complex(*write.unbind(2))
    products = factors.cumprod(1)
    first = torch.eye(5, dtype=torch.complex128)[0]
    state = products * (first + (added / products).cumsum(1))
    expected = mixer.read(torch.cat((state.real, state.imag), dim=-1)) + mixer.skip * x
    assert_close([mixer(x, context_of(x))], [expected])


def test_the_maximum_has_the_gradient_of_the_softmax() -> None:
    matrix = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    probe = torch.randn(2, 4, 4, dtype=torch.float64)
    hard = one_hot_columns(matrix)
    assert torch.equal(hard.sum(-2), torch.ones(2, 4, dtype=torch.float64))
    assert set(hard.flatten().tolist()) == {0.0, 1.0}
    ours, theirs = (torch.autograd.grad((f * probe).sum(), matrix)[0] for f in (hard, matrix.softmax(-2)))
    assert_close([ours], [theirs])
