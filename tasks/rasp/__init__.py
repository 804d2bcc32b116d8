"""RASP-L, the language of short programs that transformers learn, and the tasks that come with it.

A program maps the tokens so far (a question, ``START``, an answer) to the next token at each position, last ``END``::

    from tasks.rasp import END, START, choose, kqv, equals, shift_right, tok_map

    ALPHABET = "abcdefghij"
    DISTINCT = True  # where a symbol came twice, this program would not know what followed it

    def copy(x):
        following = kqv(shift_right(x, default=START), x, x, equals, reduction="max")
        return tok_map(following, lambda token: choose(token == START, END, token))
"""

from tasks.rasp._language import (
    END,
    START,
    RuleBroken,
    Sequence,
    aggr_max,
    aggr_mean,
    aggr_min,
    choose,
    full,
    indices,
    sel_width,
    select,
    seq_map,
    tok_map,
)
from tasks.rasp._library import (
    aggr,
    argmax,
    argmin,
    binary_mode,
    cumsum,
    equals,
    first_true,
    firsts,
    geq,
    gt,
    has_seen,
    index_select,
    induct,
    induct_kqv,
    induct_prev,
    kqv,
    lasts,
    leq,
    lt,
    mask,
    maximum,
    minimum,
    mode,
    num_prev,
    shift_right,
    true,
    where,
)

__all__ = [
    "END", "START", "RuleBroken", "Sequence", "aggr", "aggr_max", "aggr_mean", "aggr_min", "argmax", "argmin",
    "binary_mode", "choose", "cumsum", "equals", "first_true", "firsts", "full", "geq", "gt", "has_seen",
    "index_select", "indices", "induct", "induct_kqv", "induct_prev", "kqv", "lasts", "leq", "lt", "mask", "maximum",
    "minimum", "mode", "num_prev", "sel_width", "select", "seq_map", "shift_right", "tok_map", "true", "where",
]  # fmt: skip
