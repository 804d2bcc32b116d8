"""What a model costs: parameters, and the bytes it carries from token to token, measured on a real state."""

import torch

from architectures.base import SequenceModel, state_bytes

STATE_LENGTHS = (16, 64, 256)


def parameters(model: SequenceModel) -> int:
    """Return the number of trained values."""
    return sum(p.numel() for p in model.parameters())


@torch.no_grad()
def measured_state(model: SequenceModel, lengths: tuple[int, ...] = STATE_LENGTHS) -> dict[str, int]:
    """Return the bytes of one sequence's state after a source of each length; empty where the model cannot step."""
    if not model.steps:
        return {}
    device = next(model.parameters()).device
    within = [length for length in lengths if model.reach is None or length < model.reach]
    return {str(n): state_bytes(model.start(torch.zeros(1, n, dtype=torch.long, device=device))) for n in within}
