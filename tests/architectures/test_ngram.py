"""The n-gram model equals Witten-Bell smoothing in plain Python, steps equal forward, and large tables are errors."""

from collections import Counter, defaultdict
from fractions import Fraction

import pytest
import torch
from equivalence import assert_close
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from architectures.other.ngram import LARGEST, NGram

SYMBOLS = ("a", "b", "<start>")
SIZE, ROWS, IGNORED = len(SYMBOLS), 3, -100
Row = list[int]
Batch = tuple[Tensor, Tensor | None, Tensor]


def tokens(length: int, rows: int = ROWS) -> Tensor:
    return torch.randint(SIZE, (rows, length))


def lessons() -> list[Batch]:
    """Return batches of answers with a prefix and of labels without; some positions have no target."""
    made = [(tokens(5), tokens(4), tokens(4)), (tokens(2), tokens(7), tokens(7)), (tokens(9), None, tokens(9))]
    made[1][2][0, 3:] = made[2][2][2, :8] = IGNORED
    return made


def answered(source: Row, prefix: Row | None, order: int) -> list[tuple[str, ...]]:
    """Return the tokens before each answer, as words, with a word for padding."""
    seen = ["nothing"] * (order - 1) + [SYMBOLS[i] for i in source + (prefix or [])]
    asked = source if prefix is None else prefix
    ends = range(len(seen) - len(asked) + 1, len(seen) + 1)
    return [tuple(seen[end - order + 1 : end]) for end in ends]


class Oracle:
    """Counts in dictionaries, probabilities in fractions, one word at a time."""

    def __init__(self, batches: list[Batch], order: int) -> None:
        self.order, self.counts = order, defaultdict(Counter)
        for source, prefix, target in batches:
            for row in range(ROWS):
                histories = answered(source[row].tolist(), None if prefix is None else prefix[row].tolist(), order)
                for history, symbol in zip(histories, target[row].tolist(), strict=True):
                    if symbol != IGNORED:
                        for start in range(order):
                            self.counts[history[start:]][symbol] += 1

    def probability(self, symbol: int, history: tuple[str, ...] | None) -> Fraction:
        if history is None:
            return Fraction(1, SIZE)
        shorter = self.probability(symbol, history[1:] if history else None)
        counter = self.counts.get(history)
        if not counter:
            return shorter
        return (counter[symbol] + len(counter) * shorter) / Fraction(counter.total() + len(counter))

    def log_probabilities(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        rows = zip(source.tolist(), [None] * ROWS if prefix is None else prefix.tolist(), strict=True)
        found = [
            [[float(self.probability(s, history)) for s in range(SIZE)] for history in answered(*row, self.order)]
            for row in rows
        ]
        return torch.tensor(found, dtype=torch.float64).log()


def fitted(order: int, batches: list[Batch]) -> NGram:
    model = NGram(SYMBOLS, order=order).double()
    model.fit(batches)
    return model


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_it_is_witten_bell_smoothing(order: int) -> None:
    torch.manual_seed(order)
    batches = lessons()
    model, oracle = fitted(order, batches), Oracle(batches, order)
    for source, prefix in ((tokens(1), tokens(1)), (tokens(4), tokens(6)), (tokens(6), None)):
        assert_close([model(source, prefix)], [oracle.log_probabilities(source, prefix)])


def test_by_hand() -> None:
    """To ``a`` was answered b, b, a: 3 times, 2 kinds; so ``p(b) = (2 + 2/3) / 5``, ``p(b | a) = (2 + 2 p(b)) / 5``."""
    model = NGram(SYMBOLS, order=2)
    model.fit([(torch.tensor([[0, 0, 0]]), None, torch.tensor([[1, 1, 0]]))])
    last = model(torch.tensor([[0]]), None)[0, 0].exp().tolist()
    shorter = [(1 + 2 / 3) / 5, (2 + 2 / 3) / 5, (2 / 3) / 5]
    assert last == pytest.approx([(c + 2 * p) / 5 for c, p in zip((1, 2, 0), shorter, strict=True)])
    unseen = model(torch.tensor([[1]]), None)[0, 0].exp().tolist()
    assert unseen == pytest.approx(shorter)


def test_probabilities_sum_to_one_and_nothing_is_impossible() -> None:
    for model in (NGram(SYMBOLS).double(), fitted(3, lessons())):
        logits = model(tokens(20), tokens(30))
        assert logits.isfinite().all()
        assert_close([logits.exp().sum(-1)], [torch.ones(ROWS, 30, dtype=torch.float64)])


def test_more_batches_are_added() -> None:
    batches = lessons()
    at_once, later = fitted(3, batches), fitted(3, batches[:1])
    later.fit(batches[1:])
    assert all(torch.equal(x, y) for x, y in zip(at_once.counts, later.counts, strict=True))
    asked = sum(int((target >= 0).sum()) for _, _, target in batches)
    assert [int(table.sum()) for table in at_once.counts] == [asked] * 3


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("length", [1, 2, 65])
def test_steps_equal_forward(order: int, length: int) -> None:
    model, source, prefix = fitted(order, lessons()), tokens(length), tokens(length)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        each, state = model.step(token, state)
        logits.append(each)
    assert torch.equal(torch.stack(logits, 1), model(source, prefix))


def test_a_population_equals_its_members() -> None:
    members = [fitted(3, lessons()) for _ in range(3)]
    source, prefix = torch.randint(SIZE, (3, ROWS, 6)), torch.randint(SIZE, (3, ROWS, 5))
    parameters, buffers = stack_module_state(members)
    together = vmap(lambda p, b, s, t: functional_call(members[0], (p, b), (s, t)))(parameters, buffers, source, prefix)
    alone = [member(s, p) for member, s, p in zip(members, source, prefix, strict=True)]
    assert torch.equal(together, torch.stack(alone))
    assert not torch.equal(alone[0], members[1](source[0], prefix[0]))


def test_the_state_dict_is_all_that_was_learned() -> None:
    model, empty = fitted(3, lessons()), NGram(SYMBOLS).double()
    empty.load_state_dict(model.state_dict())
    source = tokens(8)
    assert torch.equal(empty(source, None), model(source, None))
    assert [tuple(table.shape) for table in model.state_dict().values()] == [(1, 3), (4, 3), (16, 3)]


def test_tables_that_are_too_large_are_an_error() -> None:
    letters = tuple(map(str, range(9)))
    NGram(letters, order=6)
    rule = r"order=7 needs 9,999,999 counts for 9 symbols, more than 4,194,304; the largest order that fits is 6"
    with pytest.raises(ValueError, match=rule):
        NGram(letters, order=7)
    assert LARGEST == 4_194_304
