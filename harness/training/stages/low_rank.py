"""Low-rank updates (LoRA, Hu et al. 2022, equation 3): each matrix ``W`` of a layer becomes ``W + B A``, and only ``A``
and ``B`` are trained.

``B`` is zero at the beginning, so the stage starts from the function of the stage before. The gradients of ``A`` and
``B`` follow from that of the sum by the chain rule, so every kind of stage can be trained like this.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import vmap

from harness.models.population import Population, init_seed
from harness.models.tensors import RowLayout, as_real
from harness.training.optimizer import PopulationOptimizer
from harness.training.stages.extra_rows import ExtraRows
from harness.training.stages.setting import Setting

IN_LAYERS = "layers."
START = "start"


def adapted_matrices(population: Population) -> dict[str, torch.Size]:
    """Return the shapes of the real matrices in the layers of a model, by name."""
    layout = population.layout
    real = {name: shape for name, shape in layout.shapes.items() if name not in layout.complex_names}
    return {name: shape for name, shape in real.items() if name.startswith(IN_LAYERS) and len(shape) == 2}


class LowRank(ExtraRows):
    """The matrices ``A`` ``[rank, in]`` and ``B`` ``[out, rank]`` of each adapted matrix.

    Attributes:
        start: the parameters of the models at the beginning of the stage, ``[R, P]``; ``None`` before its first update.
    """

    def __init__(self, setting: Setting, rank: int) -> None:
        self.population, self.start = setting.population, None
        self.matrices = adapted_matrices(self.population)
        shapes: dict[str, torch.Size] = {}
        for name, (rows, columns) in self.matrices.items():
            shapes |= {f"{name} A": torch.Size((rank, columns)), f"{name} B": torch.Size((rows, rank))}
        self.layout = RowLayout(shapes, frozenset(), 0)
        initial = torch.stack([self._initial(seed) for seed in setting.seeds])
        super().__init__(setting, initial.to(self.population.values))

    start: Tensor | None

    def _initial(self, seed: int) -> Tensor:
        """Return a row with normal ``A``, of deviation ``1 / sqrt(in)``, and ``B`` of zeros."""
        generator = torch.Generator().manual_seed(init_seed(seed, "low-rank updates"))
        scales = {name: shape[1] ** -0.5 if name.endswith(" A") else 0.0 for name, shape in self.layout.shapes.items()}
        normal = {name: torch.randn(shape, generator=generator) for name, shape in self.layout.shapes.items()}
        return self.layout.pack({name: scales[name] * normal[name] for name in normal})

    @torch.no_grad()
    def update(self, optimizer: PopulationOptimizer, factor: Tensor) -> None:
        """Take a step on ``A`` and ``B`` from the gradients of the models, and write ``W + B A`` into the models.

        Args:
            optimizer: of the models; it counts the step and learns which models have failed.
            factor: fraction of the peak learning rates, float ``[R, 1]``.
        """
        population = self.population
        if self.start is None:
            self.start = population.values.detach().clone()
        of_sum, factors = vmap(population.layout.unpack)(population.grads), vmap(self.layout.unpack)(self.values)
        chained = {}
        for name in self.matrices:
            chained[f"{name} A"] = factors[f"{name} B"].mT @ of_sum[name]
            chained[f"{name} B"] = of_sum[name] @ factors[f"{name} A"].mT
        self.grads.copy_(vmap(self.layout.pack)(chained))
        self.optimizer.alive &= optimizer.alive
        self.optimizer.step(factor)
        optimizer.alive &= self.optimizer.alive
        optimizer.lived += self.optimizer.alive[:, 0]
        population.values.copy_(self.summed(self.start))

    def summed(self, start: Tensor) -> Tensor:
        """Return parameters ``[R, P]`` whose matrices are ``W + B A``, with ``W`` from ``start``."""
        named, factors = vmap(self.population.layout.unpack)(start), vmap(self.layout.unpack)(self.values)
        for name in self.matrices:
            named[name] = named[name] + factors[f"{name} B"] @ factors[f"{name} A"]
        row = torch.cat([as_real(x).flatten(1) for x in named.values()], dim=1)
        return F.pad(row, (0, start.shape[1] - row.shape[1]))

    def state(self) -> dict[str, Tensor]:
        """Return ``A``, ``B``, the state of their optimizer and the models at the beginning, for a snapshot."""
        return super().state() | ({} if self.start is None else {START: self.start})

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        super().load_state(state)
        self.start = state[START].to(self.population.values) if START in state else None
