"""RASP-L, a language for programs that transformers can represent, and tasks from the paper about it.

A program maps the tokens so far (source, ``START``, answer) to the next token at each position, finally ``END``::

    from tasks.rasp import END, START, choose, kqv, equals, shift_right, tok_map

    ALPHABET = "abcdefghij"
    DISTINCT = True  # this program looks up what followed a symbol, so no symbol may occur twice

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
