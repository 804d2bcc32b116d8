"""Stack and tape: with hard actions they are lists; steps equal forward, and populations equal single models."""

from collections.abc import Callable, Sequence

import pytest
import torch
from equivalence import assert_close, assert_population_equals_singles, assert_steps_equal_forward
from torch import Tensor, nn

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.memory.stack_rnn import StackRNN
from architectures.memory.tape_rnn import TapeRNN
from architectures.parts.external_memory import ExternalMemory

ROWS, WIDTH, CELL, MEMORIES = 2, 16, 3, 2
EMPTY = [0.0] * CELL

KINDS: list[Callable[..., ExternalMemory]] = [
    lambda core="rnn", many=1: StackRNN(WIDTH, core=core, cell=CELL, stacks=many),
    lambda core="rnn", many=1: TapeRNN(WIDTH, core=core, cell=CELL, tapes=many),
]
VARIANTS = [(0, "rnn", 1), (0, "gru", 1), (0, "lstm", MEMORIES), (1, "rnn", MEMORIES), (1, "gru", 1), (1, "lstm", 1)]


def list_stack(actions: Sequence[int], values: Sequence[list[float]], jump: int) -> list[list[float]]:
    """Return the tops of a list after each action: 0 pushes, 1 pops, 2 does nothing."""
    stack, tops = [], []
    for action, value in zip(actions, values, strict=True):
        if action == 0:
            stack.append(value)
        elif action == 1 and stack:
            stack.pop()
        tops.append(stack[-1] if stack else EMPTY)
    return tops


def list_tape(actions: Sequence[int], values: Sequence[list[float]], jump: int) -> list[list[float]]:
    """Return the cells under a head that writes, then stays, moves left or right by one, or jumps left or right."""
    tape, head, seen = [EMPTY] * 2001, 1000, []
    for action, value in zip(actions, values, strict=True):
        tape[head] = value
        head += [0, -1, 1, -jump, jump][action]
        seen.append(tape[head])
    return seen


def at_most_one_jump_away(actions: list[int]) -> list[int]:
    """Replace jumps left at the beginning, and second jumps right, by staying."""
    kept, place = [], 0
    for action in actions:
        after = place + {3: -1, 4: 1}.get(action, 0)
        kept.append(action if after in (0, 1) else 0)
        place = after if after in (0, 1) else place
    return kept


def reads(mixer: ExternalMemory, actions: Tensor, values: Tensor, jump: int) -> Tensor:
    """Run the memory without a controller on actions ``[L, B, M, A]`` and values ``[L, B, M, C]``; return its reads."""
    _, memory = mixer.start(actions.shape[1], values)
    seen = []
    for action, value in zip(actions, values, strict=True):
        memory = mixer.write(memory, action, value, jump)
        seen.append(mixer.read(memory))
    return torch.stack(seen)


@pytest.mark.parametrize("jump", [1, 2, 7])
@pytest.mark.parametrize(("kind", "oracle", "many"), [(0, list_stack, 3), (1, list_tape, 5)])
def test_hard_actions_make_a_list(kind: int, oracle: Callable[..., list[list[float]]], many: int, jump: int) -> None:
    torch.manual_seed(jump)
    chosen = torch.randint(many, (ROWS, MEMORIES, 60)).tolist()
    if kind == 1:
        chosen = [[at_most_one_jump_away(actions) for actions in row] for row in chosen]
    actions = nn.functional.one_hot(torch.tensor(chosen), many).float()
    values = torch.randn(ROWS, MEMORIES, 60, CELL)
    seen = reads(KINDS[kind](many=MEMORIES), actions.movedim(2, 0), values.movedim(2, 0), jump)
    for row, many_actions in enumerate(chosen):
        for each, known_actions in enumerate(many_actions):
            known = oracle(known_actions, values[row, each].tolist(), jump)
            assert torch.equal(seen[:, row, each], torch.tensor(known))


def test_the_tape_forgets_what_two_early_jumps_leave_behind() -> None:
    """As documented: after t steps it holds ``jump + t`` cells on either side."""
    actions, values = torch.tensor([4, 4, 0, 3, 3]), torch.ones(5, 1, 1, CELL)
    seen = reads(KINDS[1](), nn.functional.one_hot(actions, 5).float()[:, None, None], values, jump=10)
    assert not seen[-1].any()
    back = torch.tensor([4, 0, 0, 0, 3])
    seen = reads(KINDS[1](), nn.functional.one_hot(back, 5).float()[:, None, None], values, jump=10)
    assert bool(seen[-1].all())


def by_hand(written: int, moves: Sequence[int], places: range, actions: Tensor, values: Tensor) -> Tensor:
    """The papers' sums, cell by cell, on more places than are needed; ``written`` is where the value stands."""
    zero = torch.zeros_like(values[0])
    memory, seen = dict.fromkeys(places, zero), []
    for a, v in zip(actions, values, strict=True):
        cells = {**memory, written: v}
        weighted = zip(a.unbind(-1), moves, strict=True)
        parts = [[w[..., None] * cells.get(i + move, zero) for i in places] for w, move in weighted]
        memory = dict(zip(places, map(sum, zip(*parts, strict=True)), strict=True))
        seen.append(memory[0])
    return torch.stack(seen)


@pytest.mark.parametrize(
    ("kind", "written", "moves", "places"),
    [(0, -1, (-1, 1, 0), range(7)), (1, 0, (0, -1, 1, -2, 2), range(-11, 12))],
)
def test_soft_actions_make_the_papers_sums(kind: int, written: int, moves: Sequence[int], places: range) -> None:
    """Compare values and gradients for a jump of two and few steps, so that the tape drops no reachable cell."""
    torch.manual_seed(0)
    mixer, found = KINDS[kind](), []
    inputs = [torch.randn(5, ROWS, 1, channels, dtype=torch.float64) for channels in (len(moves), CELL)]
    for form in (lambda a, v: reads(mixer, a, v, 2), lambda a, v: by_hand(written, moves, places, a, v)):
        logits, values = (each.clone().requires_grad_() for each in inputs)
        out = form(logits.softmax(-1), values)
        found.append([out, *torch.autograd.grad((out * torch.arange(CELL)).sum(), [logits, values])])
    assert_close(*found)


@pytest.mark.parametrize(("kind", "core", "many"), VARIANTS)
def test_steps_equal_forward(kind: int, core: str, many: int) -> None:
    torch.manual_seed(0)
    mixer = KINDS[kind](core, many).double()
    for length in (1, 2, 65):
        assert_steps_equal_forward(mixer, torch.randn(ROWS, length, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize(("kind", "core", "many"), VARIANTS)
def test_population_equals_singles(kind: int, core: str, many: int) -> None:
    torch.manual_seed(0)
    mixers = [KINDS[kind](core, many).double() for _ in range(3)]
    assert_population_equals_singles(mixers, torch.randn(3, ROWS, 12, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize(("mixer", "cells"), [(StackRNN, lambda n, t: 1 + t), (TapeRNN, lambda n, t: 1 + 2 * (n + t))])
def test_memory_grows_by_the_step(mixer: type[ExternalMemory], cells: Callable[[int, int], int]) -> None:
    """After a source of n tokens: t = n steps."""
    model = LanguageModel(("a", "b"), mixer, {"cell": CELL}, width=WIDTH, depth=1)
    for length in (1, 5, 20):
        state = model.start(torch.zeros(ROWS, length, dtype=torch.long))
        assert state_bytes(state) == 4 * ROWS * (WIDTH + CELL * cells(length, length))
