"""The shortest RASP-L programs that we know for tasks of all families; a task refers to its program as ``program``.

``x`` are the tokens so far: the source, ``START``, the answer. The output before ``START`` does not matter.
"""

from collections.abc import Callable

from tasks.rasp._language import END, START, Sequence, aggr_max, aggr_min, choose, full, select, seq_map, tok_map
from tasks.rasp._library import NOTHING, cumsum, equals, gt, has_seen, kqv, mask, num_prev, shift_right, where
from tasks.rasp._library import mode as most_frequent

Program = Callable[[Sequence], Sequence]

_PARITY, _HINT = -3, -4
"""Kinds of the next token of a scratchpad."""


def count(x: Sequence) -> Sequence:
    """Map ``a b`` to ``a a+1 ... b``: start with the token two before START, add one, stop at the one before START."""
    last = kqv(x, full(x, START), shift_right(x), equals, reduction="max")
    current = seq_map(x, shift_right(x, 2), lambda token, first: choose(token == START, first - 1, token))
    return seq_map(current, last, lambda token, end: choose(token == end, END, token + 1))


def copy_unique(x: Sequence) -> Sequence:
    """Return the token that followed this one before; START counts as the token before the first one."""
    following = kqv(shift_right(x, default=START), x, x, equals, reduction="max")
    return tok_map(following, lambda token: choose(token == START, END, token))


def sort_unique(x: Sequence) -> Sequence:
    """Return the smallest token that is larger than the last one."""
    return kqv(x, x, x, gt, default=END, reduction="min")


def sort(x: Sequence) -> Sequence:
    """Repeat the last token while the answer has fewer copies of it than the source, then take the next larger one."""
    in_answer = has_seen(x, full(x, START))
    count_in_source = num_prev(mask(x, in_answer == 0, NOTHING), x)
    repeat = num_prev(mask(x, in_answer, NOTHING), x) < count_in_source
    return where(repeat, x, sort_unique(x))


def majority(x: Sequence) -> Sequence:
    """Return whether there are more ones than zeros."""
    return cumsum(x) > cumsum(x == 0)


def all_true(x: Sequence) -> Sequence:
    """Return whether there is no zero."""
    return num_prev(x, full(x, 0)) == 0


def mode(x: Sequence) -> Sequence:
    """Return the most frequent token; in a tie, the largest."""
    return most_frequent(x)


def parity_running(symbols: int = 2) -> Program:
    """Build the program of parity with a scratchpad of every bit.

    The next hint is the one that follows the last hint in the source. The next parity is the last one, flipped if the
    bit of the hint is 1.

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
    """Build the program of parity with a scratchpad of the ones.

    The next hint is the smallest larger hint whose bit is 1. Parities alternate.

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
    """Return a zero at START, the parity after a hint, and a hint after a parity; the hint START becomes END."""
    kind = tok_map(x, lambda token: choose(token == START, 0, choose(token >= symbols, _PARITY, _HINT)))
    with_hints = seq_map(kind, hint, lambda kind, new: choose(kind == _HINT, choose(new == START, END, new), kind))
    return seq_map(with_hints, parity, lambda kind, bit: choose(kind == _PARITY, bit, kind))


def addition(base: int, padding: int) -> Program:
    """Build the program of addition with index hints, units first: add the two digits of each hint and the carry.

    The carry follows from the last answer digit: it is 1 if that digit is smaller than the sum of its two digits.
    """

    def program(x: Sequence) -> Sequence:
        before = shift_right(x, default=START)
        operands = select(before, x, equals)  # after a hint: the digits of its place; after START: the first hint
        larger = aggr_max(operands, x)
        total = larger + aggr_min(operands, x)
        carry = seq_map(shift_right(total, 2), before, lambda sum_, last: (last >= 0) & (sum_ > last))
        digit = seq_map(total, carry, lambda sum_, carry_in: (sum_ + carry_in) % base)
        following = before + 1
        # Without padding, the last place of the answer has a hint that the operands do not have.
        is_last = num_prev(x, following) == 0 if padding else num_prev(x, before) == 1
        hint = seq_map(following, is_last, lambda new, end: choose(end, END, new))
        return where(x > base, digit, where(x == START, larger, hint))

    return program
