"""The shortest programs we know of tasks in every folder; a task names its own as ``program``.

``x`` are the tokens so far: the question, ``START``, the answer. What a program says before ``START`` does not matter.
"""

from collections.abc import Callable

from tasks.rasp._language import END, START, Sequence, aggr_max, aggr_min, choose, full, select, seq_map, tok_map
from tasks.rasp._library import NOTHING, cumsum, equals, gt, has_seen, kqv, mask, num_prev, shift_right, where
from tasks.rasp._library import mode as most_frequent

Program = Callable[[Sequence], Sequence]

_PARITY, _HINT = -3, -4  # what is due


def count(x: Sequence) -> Sequence:
    """``a b`` to ``a a+1 ... b``: begin with what stands two before, go up by one, stop at what stood before START."""
    last = kqv(x, full(x, START), shift_right(x), equals, reduction="max")
    reached = seq_map(x, shift_right(x, 2), lambda token, first: choose(token == START, first - 1, token))
    return seq_map(reached, last, lambda token, end: choose(token == end, END, token + 1))


def copy_unique(x: Sequence) -> Sequence:
    """Induction: what followed this token before. Before the first token there is a START too, so that it follows."""
    following = kqv(shift_right(x, default=START), x, x, equals, reduction="max")
    return tok_map(following, lambda token: choose(token == START, END, token))


def sort_unique(x: Sequence) -> Sequence:
    """The smallest that is larger than the last."""
    return kqv(x, x, x, gt, default=END, reduction="min")


def sort(x: Sequence) -> Sequence:
    """The last again while the answer has fewer of it than the question, then the smallest that is larger."""
    answered = has_seen(x, full(x, START))
    asked = num_prev(mask(x, answered == 0, NOTHING), x)
    again = num_prev(mask(x, answered, NOTHING), x) < asked
    return where(again, x, sort_unique(x))


def majority(x: Sequence) -> Sequence:
    """More ones than zeros."""
    return cumsum(x) > cumsum(x == 0)


def all_true(x: Sequence) -> Sequence:
    """No zero."""
    return num_prev(x, full(x, 0)) == 0


def mode(x: Sequence) -> Sequence:
    """The largest of the most frequent."""
    return most_frequent(x)


def parity_running(symbols: int = 2) -> Program:
    """Parity with a scratchpad of every bit: the next hint is what followed the last, its parity the last one flipped.

    Args:
        symbols: tokens below are bits, the others are hints.
    """

    def program(x: Sequence) -> Sequence:
        before = shift_right(x, default=START)
        hint = kqv(shift_right(x, 2, default=START), before, x, equals, reduction="max")
        bit = kqv(before, x, x, equals, reduction="max")
        parity = seq_map(before, bit, lambda last, new: last ^ new)
        return _scratch(x, symbols, hint, parity)

    return program


def parity_ones(symbols: int = 2) -> Program:
    """Parity with a scratchpad of the ones: the next hint is the smallest of a one that is larger; parities alternate.

    Args:
        symbols: tokens below are bits, the others are hints.
    """

    def program(x: Sequence) -> Sequence:
        before = shift_right(x, default=START)
        ones = mask(before, x == 1, default=END)
        hint = kqv(ones, before, before, gt, default=END, reduction="min")
        return _scratch(x, symbols, hint, before == 0)

    return program


def _scratch(x: Sequence, symbols: int, hint: Sequence, parity: Sequence) -> Sequence:
    """A zero at START, the parity after a hint, a hint after a parity; START again is the END."""
    after = tok_map(x, lambda token: choose(token == START, 0, choose(token >= symbols, _PARITY, _HINT)))
    chosen = seq_map(after, hint, lambda what, new: choose(what == _HINT, choose(new == START, END, new), what))
    return seq_map(chosen, parity, lambda what, bit: choose(what == _PARITY, bit, what))


def addition(base: int, padding: int) -> Program:
    """Addition with index hints, units first: hint by hint, the two digits of that hint and the carry.

    The carry needs no memory: there was one if the last digit is smaller than the sum of its two digits.
    """

    def program(x: Sequence) -> Sequence:
        before = shift_right(x, default=START)
        here = select(before, x, equals)  # after a hint: the digits of its place; after START: the first hint
        larger = aggr_max(here, x)
        total = larger + aggr_min(here, x)
        carry = seq_map(shift_right(total, 2), before, lambda of, last: (last >= 0) & (of > last))
        digit = seq_map(total, carry, lambda of, more: (of + more) % base)
        following = before + 1
        # Without room for it in the operands, the last place is one that they do not have.
        over = num_prev(x, following) == 0 if padding else num_prev(x, before) == 1
        hint = seq_map(following, over, lambda new, end: choose(end, END, new))
        return where(x > base, digit, where(x == START, larger, hint))

    return program
