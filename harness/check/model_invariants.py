"""What every model does, whatever is inside: shapes, causality, rows that know nothing of each other, repeatability."""

import torch
from torch import Tensor

from harness.check.fixtures import LETTERS, SYMBOLS, ModelSubject, tokens
from harness.check.result import Skip, expect, expect_equal

ROWS = 3
SHAPES = ((1, 1), (5, 3), (2, 7))
CHUNKED = 70
"""Long enough to cross a chunk border wherever forms work in chunks of 64 or less."""

LONGEST = 8 * 20


@torch.no_grad()
def gives_the_right_shapes(subject: ModelSubject) -> None:
    """There is one row of logits for each prefix position, and for each source position where there is no prefix."""
    for length, width in SHAPES:
        source, prefix = tokens(ROWS, length), tokens(ROWS, width)
        for fed, positions in ((prefix, width), (None, length)):
            before, seen = source.clone(), subject.model(source, fed)
            call = f"forward(source {list(source.shape)}, prefix {fed if fed is None else list(fed.shape)})"
            wanted = [ROWS, positions, len(SYMBOLS)]
            expect(
                list(seen.shape) == wanted, f"{call} gave {list(seen.shape)}, not {wanted} (rows, positions, symbols)"
            )
            expect(seen.dtype == torch.float64, f"{call} gave {seen.dtype} in a float64 model: what brings it in?")
            expect(torch.equal(source, before), f"{call} wrote into its source")


@torch.no_grad()
def keeps_rows_apart(subject: ModelSubject) -> None:
    """A row gives the same logits alone, in a batch, and anywhere in it."""
    source, prefix, order = tokens(4, 9), tokens(4, 6), [2, 0, 3, 1]
    for fed in (prefix, None):
        whole = subject.model(source, fed)
        moved = subject.model(source[order], None if fed is None else fed[order])
        expect_equal(moved, whole[order], "reordering the batch must reorder the logits")
        for row in order:
            alone = subject.model(source[[row]], None if fed is None else fed[[row]])
            expect_equal(alone, whole[[row]], f"rows are mixed: row {row} alone must equal row {row} of the batch")


@torch.no_grad()
def is_repeatable(subject: ModelSubject) -> None:
    """The same seed gives the same model, another seed another, and evaluation draws no random numbers."""
    first, again, other = (torch.cat([p.flatten() for p in subject.build(seed).parameters()]) for seed in (0, 0, 1))
    expect(torch.equal(first, again), "two models built with one seed differ: draw initial values from torch alone")
    drawn = subject.model.is_gradient_free() or not torch.equal(first, other)
    expect(drawn, "models of two seeds start alike: nothing is drawn at random")
    source, prefix = tokens(ROWS, 9), tokens(ROWS, 6)
    once, twice = (subject.model(source, prefix) for _ in range(2))
    expect(torch.equal(once, twice), "two evaluations of the same tokens differ: hidden randomness, or a state is kept")


@torch.no_grad()
def reads_its_source(subject: ModelSubject) -> str | None:
    """The first token of the source makes a difference to the answer."""
    if subject.model.is_gradient_free():
        expect(_tells_apart(subject, 1), "the logits of the prefix do not depend on a source of one token")
        return "fitted without gradients, perhaps to the last few tokens alone: tested on a source of one token"
    expect(_tells_apart(subject, 4), "the logits of the prefix do not depend on the first source token")
    return None


def _tells_apart(subject: ModelSubject, length: int) -> bool:
    """Whether another first token changes the answer to a source."""
    source, prefix = tokens(1, length), tokens(1, 3)
    other = torch.cat(((source[:, :1] + 1) % len(LETTERS), source[:, 1:]), dim=1)
    return not torch.equal(subject.model(source, prefix), subject.model(other, prefix))


@torch.no_grad()
def does_not_look_ahead(subject: ModelSubject) -> None:
    """Where the model is declared causal, logits do not depend on later prefix tokens, nor on how many there are."""
    if not subject.model.causal:
        raise Skip("declared causal = False")
    source, prefix = tokens(1, 5), tokens(1, CHUNKED)
    logits = subject.model(source, prefix)
    words = "declared causal, but the logits at prefix position {} change with {}"
    for cut, other in _changed_after(prefix):
        seen = subject.model(source, other)
        expect_equal(seen[:, :cut], logits[:, :cut], words.format(cut - 1, "the tokens after it"))
    if subject.options.get("places") == "randomized":
        return  # places are drawn anew for every length of the stream
    for cut in (1, CHUNKED // 2):
        seen = subject.model(source, prefix[:, :cut])
        expect_equal(seen, logits[:, :cut], words.format(cut - 1, "the number of tokens after it"))


@torch.no_grad()
def tags_online(subject: ModelSubject) -> None:
    """Where the model is declared online, its label at a source position does not depend on later source tokens."""
    if not subject.model.online:
        raise Skip("declared online = False")
    source = tokens(1, CHUNKED)
    logits = subject.model(source, None)
    for cut, other in _changed_after(source):
        words = f"declared online, but the label at source position {cut - 1} changes with the tokens after it"
        expect_equal(subject.model(other, None)[:, :cut], logits[:, :cut], words)
    for cut in (1, CHUNKED // 2):
        words = f"declared online, but the label at source position {cut - 1} changes with how many tokens follow it"
        expect_equal(subject.model(source[:, :cut], None), logits[:, :cut], words)


def _changed_after(row: Tensor) -> list[tuple[int, Tensor]]:
    """Return for several ``cut`` the row with every token from the cut on changed."""
    place, other = torch.arange(row.shape[1]), (row + 1) % len(LETTERS)
    return [(cut, torch.where(place >= cut, other, row)) for cut in (1, 2, 32, 63, 64, row.shape[1] - 1)]


@torch.no_grad()
def goes_past_training(subject: ModelSubject) -> str | None:
    """Streams eight times longer than usual training give finite logits, within the model's reach."""
    model, width = subject.build(), 5
    length = LONGEST if model.reach is None else min(LONGEST, model.reach - width)
    for fed in (tokens(1, width), None):
        finite = bool(model(tokens(1, length), fed).isfinite().all())
        expect(finite, f"a source of {length} tokens gives logits that are not finite")
    return f"tested up to its reach of {model.reach} tokens" if length < LONGEST else None
