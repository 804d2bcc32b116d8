"""The compiled model of a task: its program as a circuit, how it reads and writes tokens, and the size it needs."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from architectures.attention.transformer import Transformer
from architectures.language_model import LanguageModel
from architectures.parts.position_ids import REACH
from architectures.parts.positions.learned import Learned
from architectures.parts.scores import scaled_dot
from harness.compiler.circuit import PERIODS, SINK, Circuit, Form
from harness.compiler.program import NotCompilable, ProgramCompiler
from harness.compiler.variables import Symbol
from harness.compiler.weights import Size, Writer, size_of
from harness.data.presentation import Presentation
from tasks.rasp import END, START

HEADS = (1, 2, 4, 8)
"""Numbers of heads that are tried; the one with the fewest parameters is taken."""


@dataclass(frozen=True)
class Compiled:
    """A program as a circuit.

    Attributes:
        tokens: the channels that are 1 for each token id.
        output: for each token id the form that is 1 where it comes next.
    """

    circuit: Circuit
    tokens: dict[int, list[int]]
    output: dict[int, Form]

    @property
    def size(self) -> Size:
        """The least size of the transformer."""
        return size_of(self.circuit)

    @torch.no_grad()
    def write(self, model: LanguageModel) -> None:
        """Write the weights into a model for which :func:`misfit` finds no reason against it."""
        writer = Writer(dict(model.named_parameters()), model.embedding.embedding_dim, _heads(model))
        writer.write(self.circuit, self.tokens, self.output)


def compile_task(presentation: Presentation, reach: int = REACH, heads: int | None = None) -> Compiled:
    """Return the compiled program of a task.

    Args:
        presentation: how the task is asked, with a start token before the source.
        reach: the number of positions of a stream.
        heads: of a layer; ``None`` tries some numbers and takes the one with the fewest parameters.

    Raises:
        NotCompilable: the task has no program, or one for which there is no circuit here.
    """
    task = presentation.task
    if task.program is None:
        raise NotCompilable("no RASP-L program is known for it")
    if presentation.mode != task.answer:
        raise NotCompilable(f"its program answers as {task.answer}, not as {presentation.mode}")
    if not presentation.begin:
        raise NotCompilable("a compiled program needs a start token before the source; set begin=true")
    if reach > PERIODS[-1]:
        raise NotCompilable(f"its positions are points on circles of {PERIODS[-1]}, and {reach} were asked for")
    compiled = (_with_heads(presentation, reach, number) for number in ((heads,) if heads else HEADS))
    return min(compiled, key=lambda one: one.size.parameters)


def misfit(model: nn.Module, presentation: Presentation) -> str:
    """Return why a model cannot hold the compiled program of a task, or an empty text."""
    if not (isinstance(model, LanguageModel) and _is_plain(model)):
        return "needs the architecture transformer with position=learned, and its other options at their defaults"
    size = compile_task(presentation, model.position_range, _heads(model)).size
    if model.embedding.embedding_dim >= size.width and len(model.layers) >= size.depth:
        return ""
    least = compile_task(presentation, model.position_range).size
    return f"needs width={least.width},depth={least.depth},heads={least.heads} or more width and depth"


def _is_plain(model: LanguageModel) -> bool:
    """Whether a model is a decoder-only transformer with learned positions, without windows or shared keys."""
    has_places = isinstance(model.encoding, Learned) and model.position_scheme == "identity"
    return has_places and all(_attends_to_all(layer.mixer) for layer in model.layers)


def _attends_to_all(mixer: Tensor | nn.Module) -> bool:
    """Whether a mixer is the transformer's, with as many heads of keys as of queries, and sees all positions."""
    if type(mixer) is not Transformer:
        return False
    attention = mixer.attention
    all_keys = attention.kv_heads == attention.heads and mixer.share == 1 and mixer.window == 0
    return all_keys and attention.score.function is scaled_dot


def _heads(model: LanguageModel) -> int:
    mixer = model.layers[0].mixer
    assert isinstance(mixer, Transformer)
    return mixer.heads


def write_compiled(model: LanguageModel, presentation: Presentation) -> None:
    """Write the compiled program of a task into a model for which :func:`misfit` finds nothing."""
    compile_task(presentation, model.position_range, _heads(model)).write(model)


def _with_heads(presentation: Presentation, reach: int, heads: int) -> Compiled:
    circuit, count = Circuit(heads), len(presentation.task.symbols)
    channels = circuit.channels(count + 1)
    tokens = {token: [channel] for token, channel in enumerate(channels[:-1])}
    tokens |= {presentation.special(name): [channels[-1]] for name in ("<start>", "<end>", "<blank>", "<think>")}
    # At the sink, START is not a token of the program.
    variable = Symbol(
        {
            **{token: {channel: 1.0} for token, [channel] in list(tokens.items())[:count]},
            START: {channels[-1]: 1.0, SINK: -1.0},
        }
    )
    program = presentation.task.program
    assert program is not None
    output = ProgramCompiler(circuit, variable, reach).compile(program)
    ids = {**{token: token for token in range(count)}, END: presentation.special("<end>")}
    return Compiled(circuit, tokens, {ids[value]: form for value, form in output.forms.items() if value in ids})
