"""Starter: copy a source in which no symbol occurs twice.

State here what is computed. A program is a function of the tokens so far: source, START, answer. It returns the next
token at each position, finally END. Symbols are the numbers 0, 1, 2, ... in the order of ALPHABET.
"""

from tasks.rasp import END, START, Sequence, choose, equals, kqv, shift_right, tok_map

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
DISTINCT = True  # the program looks up a symbol by its place before, so no symbol may occur twice in a source


def starter(x: Sequence) -> Sequence:
    """Write the token that followed the last one in the source; START counts as the token before the first one."""
    following = kqv(shift_right(x, default=START), x, x, equals, reduction="max")
    return tok_map(following, lambda token: choose(token == START, END, token))
