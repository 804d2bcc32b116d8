"""Checks that hold for every model: shapes, independent rows, repeatability, causality, long sequences."""

import torch
from torch import Tensor

from harness.check.fixtures import LETTERS, SYMBOLS, ModelSubject, random_tokens
from harness.check.result import Skip, expect, expect_equal

ROWS = 3
SHAPES = ((1, 1), (5, 3), (2, 7))
"""Tokens of source and prefix."""
CHUNKED = 70
"""Long enough to cross the border of a chunk in every kernel that works in chunks of 64 or less."""
LONGEST = 8 * 20
"""Eight times the usual training length."""


@torch.no_grad()
def logits_have_the_right_shape(subject: ModelSubject) -> None:
    """The model gives one row of logits for each prefix position, or for each source position without a prefix."""
    for length, width in SHAPES:
        source, full_prefix = random_tokens(ROWS, length), random_tokens(ROWS, width)
        for prefix, positions in ((full_prefix, width), (None, length)):
            original, logits = source.clone(), subject.model(source, prefix)
            call = f"forward(source {list(source.shape)}, prefix {prefix if prefix is None else list(prefix.shape)})"
            shape, expected = list(logits.shape), [ROWS, positions, len(SYMBOLS)]
            expect(shape == expected, f"{call} gave {shape}, not {expected} (rows, positions, symbols)")
            advice = "create tensors in the dtype of the parameters"
            is_float64 = logits.dtype == torch.float64
            expect(is_float64, f"{call} gave {logits.dtype} in a float64 model, not torch.float64; {advice}")
            expect(torch.equal(source, original), f"{call} wrote into its source; clone the source before a write")


@torch.no_grad()
def rows_are_independent(subject: ModelSubject) -> None:
    """A row gives the same logits alone, in a batch, and at any place in the batch."""
    source, full_prefix, order = random_tokens(4, 9), random_tokens(4, 6), [2, 0, 3, 1]
    for prefix in (full_prefix, None):
        logits = subject.model(source, prefix)
        reordered = subject.model(source[order], None if prefix is None else prefix[order])
        expect_equal(reordered, logits[order], "reordering the batch must reorder the logits")
        for row in order:
            alone = subject.model(source[[row]], None if prefix is None else prefix[[row]])
            expect_equal(alone, logits[[row]], f"rows are mixed: row {row} alone must equal row {row} of the batch")


@torch.no_grad()
def is_repeatable(subject: ModelSubject) -> None:
    """One seed always gives the same model, two seeds give two, and evaluation draws no random numbers."""
    first, again, other = (torch.cat([p.flatten() for p in subject.build(seed).parameters()]) for seed in (0, 0, 1))
    expect(torch.equal(first, again), "two models built with one seed differ; draw initial values only from torch")
    seeds_differ = subject.model.is_gradient_free() or not torch.equal(first, other)
    expect(seeds_differ, "models built with two seeds are equal; draw initial values at random")
    source, prefix = random_tokens(ROWS, 9), random_tokens(ROWS, 6)
    logits, repeated = (subject.model(source, prefix) for _ in range(2))
    advice = "draw no random numbers in evaluation, and keep no state between calls"
    expect(torch.equal(logits, repeated), f"two evaluations of the same tokens differ; {advice}")


@torch.no_grad()
def depends_on_its_source(subject: ModelSubject) -> str | None:
    """The logits of the prefix depend on the first token of the source."""
    if subject.model.is_gradient_free():
        expect(_first_token_matters(subject, 1), "the logits of the prefix do not depend on a source of one token")
        return "fitted without gradients, perhaps only to the last few tokens: tested on a source of one token"
    expect(_first_token_matters(subject, 4), "the logits of the prefix do not depend on the first source token")
    return None


def _first_token_matters(subject: ModelSubject, length: int) -> bool:
    """Whether another first token changes the logits of a source of this length."""
    source, prefix = random_tokens(1, length), random_tokens(1, 3)
    changed = torch.cat(((source[:, :1] + 1) % len(LETTERS), source[:, 1:]), dim=1)
    return not torch.equal(subject.model(source, prefix), subject.model(changed, prefix))


@torch.no_grad()
def is_causal(subject: ModelSubject) -> None:
    """Where the model is declared causal, logits do not depend on later prefix tokens or on their number."""
    if not subject.model.causal:
        raise Skip("declared causal = False")
    source, prefix = random_tokens(1, 5), random_tokens(1, CHUNKED)
    logits = subject.model(source, prefix)
    message = "declared causal, but the logits at prefix position {} change with {}"
    for cut, changed in _changed_after(prefix):
        actual = subject.model(source, changed)
        expect_equal(actual[:, :cut], logits[:, :cut], message.format(cut - 1, "the tokens after it"))
    if subject.options.get("places") == "randomized":
        return  # random places are drawn anew for every stream length, so a shorter prefix gets other places
    for cut in (1, CHUNKED // 2):
        actual = subject.model(source, prefix[:, :cut])
        expect_equal(actual, logits[:, :cut], message.format(cut - 1, "the number of tokens after it"))


@torch.no_grad()
def is_online(subject: ModelSubject) -> None:
    """Where the model is declared online, its label of a source token does not depend on later source tokens."""
    if not subject.model.online:
        raise Skip("declared online = False")
    source = random_tokens(1, CHUNKED)
    logits = subject.model(source, None)
    message = "declared online, but the label at source position {} changes with {}"
    for cut, changed in _changed_after(source):
        actual = subject.model(changed, None)[:, :cut]
        expect_equal(actual, logits[:, :cut], message.format(cut - 1, "the tokens after it"))
    for cut in (1, CHUNKED // 2):
        actual = subject.model(source[:, :cut], None)
        expect_equal(actual, logits[:, :cut], message.format(cut - 1, "the number of tokens after it"))


def _changed_after(row: Tensor) -> list[tuple[int, Tensor]]:
    """Return, for several positions ``cut``, the row with every token from ``cut`` on changed."""
    positions, changed = torch.arange(row.shape[1]), (row + 1) % len(LETTERS)
    return [(cut, torch.where(positions >= cut, changed, row)) for cut in (1, 2, 32, 63, 64, row.shape[1] - 1)]


@torch.no_grad()
def is_finite_beyond_training(subject: ModelSubject) -> str | None:
    """Logits are finite at eight times the usual training length, or at the maximum length if that is shorter."""
    model, width = subject.build(), 5
    length = LONGEST if model.reach is None else min(LONGEST, model.reach - width)
    for prefix in (random_tokens(1, width), None):
        is_finite = bool(model(random_tokens(1, length), prefix).isfinite().all())
        expect(is_finite, f"the logits of a source of {length} tokens must be finite, but are not finite")
    return f"tested up to the maximum length of {model.reach} tokens" if length < LONGEST else None
