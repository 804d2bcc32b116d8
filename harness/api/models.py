"""Trained models of a run: the torch module with its task, to be asked in symbols."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from architectures.base import SequenceModel
from harness.api.frames import PathLike
from harness.config.cell import Cell
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose
from harness.errors import UserError, suggest
from harness.evaluation.scoring import choose, decode, fixed_set
from harness.execution.recorded_code import stored_cell
from harness.models.population import Population, build_seeded, load
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder
from harness.storage.records import TrainingRecord
from tasks.base import IGNORE

NO_SYMBOL, NOT_ASKED = "?", "."
"""Written where logits are not finite, and at positions for which the task asks nothing."""

Question = str | Sequence[str]
"""Symbols, as a sequence or as a text with spaces between them; one-letter symbols need no spaces."""


@dataclass(frozen=True)
class TrainedModel:
    """A trained model with its task.

    Attributes:
        cell: what was trained and how: architecture, task, recipe, learning rate and seed.
        record: the record of the training.
        presentation: the mode in which the task is asked, and the batches that follow from it.
        population: the model as the harness calls it.
    """

    cell: Cell
    record: TrainingRecord
    presentation: Presentation
    population: Population

    @property
    def module(self) -> SequenceModel:
        """The torch module, in evaluation mode; it maps (source ``[B, S]``, prefix ``[B, T]``) to logits."""
        return self.population.model

    @property
    def symbols(self) -> tuple[str, ...]:
        """The alphabet; token ids are indices into it. The last four are the special symbols."""
        return self.presentation.symbols

    def batch(self, question: Question) -> Batch:
        """Return the source, the prefix and the target of one question, with one row each.

        Raises:
            UserError: if a symbol is not in the alphabet of the task.
        """
        words = _words(question, self.presentation.task.symbols)
        for word in words:
            if word not in self.presentation.task.symbols:
                known = " ".join(self.presentation.task.symbols)
                raise UserError(f"symbol {word!r} is not in the alphabet of {self.cell.task}: {known}")
        return self.presentation(torch.tensor([[self.symbols.index(word) for word in words]]))

    @torch.no_grad()
    def predict(self, question: Question) -> str:
        """Return the model's answer in symbols.

        A generated answer is decoded greedily up to its END, with at most one token more than the right one has.
        """
        batch = self.batch(question)
        if self.presentation.mode == "generate":
            return self._text(decode(self.population, batch)[0, 0])
        answer = choose(self.module(batch.source, batch.prefix))[0]
        return self._text(answer.masked_fill(batch.target[0] == IGNORE, IGNORE))

    def solve(self, question: Question) -> str:
        """Return the right answer in symbols."""
        return self._text(self.batch(question).target[0])

    def questions(self, length: int, count: int = 1) -> list[str]:
        """Return the first ``count`` questions of a fixed set of one length."""
        key, cpu = str(self.cell.task), torch.device("cpu")
        sources = fixed_set(self.presentation, key, Purpose.INSPECT, length, count, cpu)
        return [" ".join(self.symbols[token] for token in row) for row in sources.tolist()]

    def _text(self, answer: Tensor) -> str:
        """Return the symbols of one answer ``[T]`` up to its END."""
        tokens, end = answer.tolist(), self.presentation.special("<end>")
        if self.presentation.mode == "generate":
            tokens = tokens[: tokens.index(end)] if end in tokens else [token for token in tokens if token != IGNORE]
        names = {IGNORE: NOT_ASKED} | dict(enumerate(self.symbols))
        return " ".join(names.get(token, NO_SYMBOL) for token in tokens)


def load_model(
    folder: PathLike, cell: str, *, step: int | None = None, plugins: Iterable[PathLike] = ()
) -> TrainedModel:
    """Load a trained model onto the CPU.

    Args:
        folder: output folder of a run.
        cell: its id, as in the column ``cell``, or the beginning of it.
        step: a checkpoint; by default the last one.
        plugins: Python files of its architecture and task, if they are the user's own. Their code must be that of the
            training.

    Raises:
        UserError: if there is no such model, checkpoint or weight.
    """
    run = RunFolder(Path(folder))
    cell_id = _cell_id(run, cell.partition("@")[0])
    record = run.cell(cell_id).training
    if record is None:
        failure = run.cell(cell_id).failure
        raise UserError(f"cell {cell_id} has no trained model: {failure.reason if failure else 'it is not finished'}")
    if step is not None and step not in record.checkpoints:
        raise UserError(
            f"cell {cell_id} has no checkpoint {step}; choose from {', '.join(map(str, record.checkpoints))}"
        )
    known = stored_cell(run, cell_id, Catalog(tuple(map(Path, plugins))))
    assert known is not None
    presentation = Presentation.of(known.task, known.recipe)
    model = build_seeded(known.architecture, presentation.symbols, known.seed)
    population = load([model], [run.weights(cell_id, step or record.checkpoints[-1])], "cpu")
    population.train(False)
    return TrainedModel(known, record, presentation, population)


def _cell_id(run: RunFolder, text: str) -> str:
    """Return the only id of a run that begins with a text."""
    ids = run.cell_ids()
    matches = [cell for cell in ids if cell.startswith(text)]
    if len(matches) != 1:
        problem = f"{len(matches)} cells begin with it" if matches else f"there is none{suggest(text, ids)}"
        raise UserError(f"cell {text!r} of {run.path}: {problem}")
    return matches[0]


def _words(question: Question, symbols: Sequence[str]) -> list[str]:
    if not isinstance(question, str):
        return list(question)
    is_joined = " " not in question.strip() and question not in symbols
    return list(question) if is_joined else question.split()
