"""Tasks with instructions, graphs and tables: their random choices have the stated distributions."""

import pytest
import torch

from harness.data.rng import Stream
from tasks.base import IGNORE, decode
from tasks.recall.needle import Needle
from tasks.stack.many_stacks import ManyStacks
from tasks.strings.string_instructions import StringInstructions
from tasks.structure.modular_regression import ModularRegression
from tasks.structure.reachability import Reachability
from tasks.structure.variable_assignments import VariableAssignments
from tasks.tracking.random_machine import RandomMachine, draw_table


def stream(rows: int) -> Stream:
    return Stream.of([0], "programs", "test", 0, rows, "cpu")


def test_the_states_of_a_random_machine_are_connected_and_none_is_rare() -> None:
    for machine in range(5):
        task = RandomMachine(states=6, letters=3, machine=machine, ask="every")
        states = task.solve(task.sample(200, stream(200)))[:, 20:]
        shares = states.flatten().bincount(minlength=9)[3:] / states.numel()
        assert float(shares.min()) > 1 / (4 * 6)
        assert bool((task.table != task.table[:, :1]).any(1).all())  # no letter resets the machine
    assert not torch.equal(draw_table(6, 3, 0), draw_table(6, 3, 1))


def test_a_needle_can_be_anywhere() -> None:
    task = Needle(distractors=0, letters=1)
    source = task.sample(3, stream(4000))
    place = (source[:, :-1] == source[:, -1:]).byte().argmax(1)
    assert torch.allclose(place.bincount() / 4000, torch.full((4,), 0.25), atol=0.03)


def test_every_pop_has_an_item_and_pushes_have_the_stated_share() -> None:
    task = ManyStacks(stacks=1, push=0.3)
    source = task.sample(3, stream(2000))
    pops = source[:, ::3] == task.symbols.index("pop")
    assert pops.tolist() == [[False, pop, True] for pop in pops[:, 1].tolist()]
    assert not pops[:, 1].any()  # a pop would leave nothing for the last one
    source = task.sample(41, stream(2000))
    pushes = (source[:, ::3] == task.symbols.index("push")).float()
    assert float(pushes[:, 1::2].mean()) < float(pushes[:, ::2].mean())  # the height is odd after the first push


def test_constants_bound_the_chain_that_a_value_depends_on() -> None:
    answers = {share: VariableAssignments(constants=share) for share in (0.0, 1.0)}
    for share, task in answers.items():
        source = task.sample(50, stream(400))
        changed = source.clone()
        changed[:, 4] = (changed[:, 4] + 1) % 5  # the digit of the first line
        differs = (task.solve(source) != task.solve(changed)).float().mean()
        assert (float(differs) == 0) == (share == 1.0)


@pytest.mark.parametrize("length", [4, 12, 32])
def test_half_of_the_pairs_are_connected(length: int) -> None:
    task = Reachability()
    answers = task.solve(task.sample(length, stream(4000)))
    assert (answers == task.symbols.index("yes")).float().mean().item() == pytest.approx(0.5, abs=0.03)


def test_the_values_of_a_regression_are_uniform() -> None:
    task = ModularRegression()
    answers = task.solve(task.sample(12, stream(5000)))
    assert IGNORE not in answers
    # A zero input has the value 0: in one of 25 rows, and the function is zero in as many.
    shares = answers.flatten().bincount(minlength=5) / 5000
    assert torch.allclose(shares[1:], torch.full((4,), (1 - 2 / 25 + 1 / 625) / 5), atol=0.02)


def test_each_pair_of_words_of_a_held_out_instruction_is_seen() -> None:
    seen, held_out = (StringInstructions(combinations=kind).short for kind in ("seen", "held_out"))
    agreements = (held_out[:, None] == seen).sum(-1)  # how many of the three words are equal
    assert (len(seen), len(held_out)) == (12, 4)
    assert int(agreements.max()) == 2
    assert (agreements == 2).sum(1).tolist() == [5, 5, 5, 5]  # three other operations, another direction, other letters


@pytest.mark.parametrize(("length", "occurs"), [(4, True), (5, False)])
def test_a_limited_operation_occurs_up_to_its_limit_only(length: int, occurs: bool) -> None:
    task = StringInstructions(limited="sort", limit=4)
    source = task.sample(length, Stream.of([0], "t", "test", length, 200, "cpu"))
    assert ("sort" in {decode(task.symbols, row)[0] for row in source}) is occurs
