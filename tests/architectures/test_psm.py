"""Prefix folds: brackets, equality with a left fold, and of the tree with the counter; a PSM read chunk by chunk."""

import pytest
import torch
from equivalence import assert_close
from torch import Tensor

from architectures.attention.psm import PSM
from architectures.parts.scans.tree import Counter, prefixes


def bracketed(count: int) -> str:
    """Return how ``count`` letters are folded, by the rule: the largest block first, then the rest."""
    texts = {}

    def combine(left: Tensor, right: Tensor) -> Tensor:
        keys = []
        for a, b in zip(left.tolist(), right.tolist(), strict=True):
            texts[len(texts)] = f"({texts[int(a[0])]}{texts[int(b[0])]})"
            keys.append([len(texts) - 1])
        return torch.tensor(keys)

    for letter in "abcdefghijklmnop"[:count]:
        texts[len(texts)] = letter
    return texts[int(prefixes(torch.arange(count)[:, None], combine)[-1])]


def test_brackets() -> None:
    assert bracketed(1) == "a"
    assert bracketed(3) == "((ab)c)"
    assert bracketed(7) == "((((ab)(cd))(ef))g)"


@pytest.mark.parametrize("count", range(1, 18))
def test_the_tree_is_the_counter_and_a_left_fold_if_associative(count: int) -> None:
    torch.manual_seed(count)
    matrices, counter = torch.randn(count, 3, 3, dtype=torch.float64), Counter()
    product = torch.eye(3, dtype=torch.float64)
    tangled = lambda a, b: torch.tanh(a @ b - a)  # noqa: E731
    products, folds = prefixes(matrices, torch.matmul), prefixes(matrices, tangled)
    for index, matrix in enumerate(matrices):
        product, counter = product @ matrix, counter.add(matrix, tangled)
        assert_close([products[index], folds[index]], [product, counter.prefix(tangled)])


@pytest.mark.parametrize("chunk", [1, 3])
def test_each_chunk_reads_the_summary_of_those_before_it(chunk: int) -> None:
    torch.manual_seed(0)
    model = PSM(("a", "b", "c"), width=8, heads=2, chunk=chunk).double()
    source = torch.randint(3, (2, 4 * chunk))
    a, b, c, last = model.embedding(source)[None].split(chunk, dim=2)
    past = model._merge(model._merge(a, b), c)[0]
    x = torch.cat((past, last[0]), dim=1)
    for layer in model.read:
        x = layer(x, model._context(x, 0))
    assert_close([model(source, None)[:, -chunk:]], [model.head(model.norm(x[:, chunk:]))])
