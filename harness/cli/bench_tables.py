"""Measurements of ``lengthwise bench``: each has a table with one or more rows for a spec, and some have a figure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.bench import benchmark_steps
from harness.bench.decode import LENGTHS as DECODING_LENGTHS
from harness.bench.decode import LIMIT, DecodingCost, measure_decoding
from harness.bench.isolated import Usage
from harness.bench.long import LENGTHS as LONG_LENGTHS
from harness.bench.long import measure_long_evaluations
from harness.bench.populations import measure_populations
from harness.bench.roofline import peak_rates
from harness.bench.scaling import Point, measure_growth
from harness.bench.step import PHASES
from harness.bench.tasks import measure_task
from harness.bench.workload import LENGTH
from harness.errors import UserError
from harness.registry.catalog import Catalog


@dataclass(frozen=True)
class Setting:
    """The setting of a measurement: the catalog with its plug-ins, the device, training steps and source lengths."""

    catalog: Catalog
    plugins: tuple[Path, ...]
    device: str
    steps: int
    lengths: tuple[int, ...] = (LENGTH,)


class Measurement:
    """One kind of measurement; ``only_trained`` leaves out models that are fitted without gradients.

    ``details`` are columns that only a wide terminal shows; a file has all ``columns``.
    """

    title: ClassVar[str]
    columns: ClassVar[Sequence[str]]
    details: ClassVar[Sequence[str]] = ()
    note: str = ""
    only_trained: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        self.setting, self.catalog = setting, setting.catalog

    def default_specs(self) -> list[str]:
        """Return the specs that are measured by default: every architecture that can be imported and is suitable."""
        return [name for name in self.catalog.names("architecture") if self._is_suitable(name)]

    def rows(self, spec: str) -> Iterator[list[str]]:
        """Measure one spec and yield rows of the table."""
        raise NotImplementedError

    def draw(self, file: Path) -> Path | None:
        """Draw all measurements into a file; return ``None`` if there is no figure."""
        return None

    def _is_suitable(self, name: str) -> bool:
        try:
            cls = self.catalog.find("architecture", name).cls
        except UserError:
            return False
        return not (self.only_trained and hasattr(cls, "is_gradient_free") and cls.is_gradient_free())


class Steps(Measurement):
    """Phases of a training step, its time relative to the floor, and the speedup of the harness over a plain loop."""

    title = "Milliseconds of a training step"
    columns = (
        "architecture",
        "length",
        *PHASES,
        "step",
        "overhead",
        "tokens/s",
        "x floor",
        "x plain",
        "x reference",
    )
    details = PHASES

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.rates = peak_rates(setting.device)
        self.note = (
            "overhead: the share of a step in none of the four phases; x floor: time of a step divided by the least "
            f"time that its work needs ({self.rates}); x plain: speedup over a hand-written loop; x reference: speedup "
            "of the default kernel over the reference kernel."
        )

    def rows(self, spec: str) -> Iterator[list[str]]:
        at = self.setting
        for result in benchmark_steps(
            [spec], self.catalog, self.rates, steps=at.steps, device=at.device, lengths=at.lengths
        ):
            split, over_reference = result.split, result.speedup_over_reference
            times = [f"{split.milliseconds[phase]:.2f}" for phase in PHASES] + [f"{split.step:.2f}"]
            speeds = [f"{split.overhead:.1%}", f"{result.tokens_per_second:.0f}", f"{result.floor_ratio:.1f}"]
            speedups = [f"{result.speedup_over_plain:.2f}", "" if over_reference is None else f"{over_reference:.2f}"]
            yield [result.architecture, str(result.length), *times, *speeds, *speedups]


class Populations(Measurement):
    """Many models trained as one program, compared with as many models trained one by one."""

    title = "Populations, against as many models one by one"
    columns = ("architecture", "models", "ms a step", "models/s", "x plain", "x replayed", "x floor")
    steps_per_model = 1000
    note = (
        f"models/s: trained per second, at {steps_per_model} steps each; x plain: speedup over a hand-written loop; "
        "x replayed: speedup over one model whose steps are replayed as CUDA graphs; x floor: time of a step divided "
        "by the least time that its operations and bytes need."
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.rates = peak_rates(setting.device)

    def rows(self, spec: str) -> Iterator[list[str]]:
        setting = self.setting
        for speed in measure_populations(spec, self.catalog, self.rates, steps=setting.steps, device=setting.device):
            models_per_second = f"{speed.size / (speed.seconds * self.steps_per_model):.3g}"
            over_replayed = "" if speed.speedup_over_replayed is None else f"{speed.speedup_over_replayed:.2f}"
            ratios = [f"{speed.speedup_over_plain:.2f}", over_replayed, f"{speed.floor_ratio:.1f}"]
            yield [spec, str(speed.size), f"{speed.seconds * 1e3:.2f}", models_per_second, *ratios]


class Decoding(Measurement):
    """Time to the first token, time of a token and size of the state in greedy decoding."""

    title = "Decoding one sequence, after sources of several lengths"
    columns = ("architecture", "source", "ms to first token", "ms a token", "state KiB")
    note = (
        "ms to first token: reading the source and one step; ms a token: each later step; both are medians. "
        f"Blank: the model cannot be stepped, the source is beyond its reach, or shorter sources predict more than "
        f"{LIMIT:.0f} seconds to the first token."
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.costs: dict[str, list[DecodingCost]] = {}

    def rows(self, spec: str) -> Iterator[list[str]]:
        self.costs[spec] = measure_decoding(spec, self.catalog, device=self.setting.device)
        by_length = {cost.length: cost for cost in self.costs[spec]}
        for length in DECODING_LENGTHS:
            yield [spec, str(length), *(_decoding_cells(by_length[length]) if length in by_length else ("", "", ""))]

    def draw(self, file: Path) -> Path | None:
        from harness.bench.plot_decoding import draw_decoding

        return draw_decoding(self.costs, file)


class LongEvaluations(Measurement):
    """Time and memory of scoring one row that is far longer than any training length."""

    title = "Scoring one row of a long length"
    only_trained = False
    columns = ("architecture", *(f"s@{n}" for n in LONG_LENGTHS), *(f"MiB@{n}" for n in LONG_LENGTHS))

    def rows(self, spec: str) -> Iterator[list[str]]:
        evaluations = measure_long_evaluations(spec, self.setting.plugins, device=self.setting.device)
        usages = {evaluation.length: evaluation.usage for evaluation in evaluations}
        cells = [_usage_cells(usages[n]) if n in usages else ("beyond reach", "") for n in LONG_LENGTHS]
        yield [spec, *(seconds for seconds, _ in cells), *(mebibytes for _, mebibytes in cells)]


class Growth(Measurement):
    """Growth of a training step's time and memory."""

    title = "How the cost of training grows"
    columns = ("architecture", "of", "value", "seconds", "MiB")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.points: list[Point] = []

    def default_specs(self) -> list[str]:
        return ["lstm", "transformer", "mamba2"]

    def rows(self, spec: str) -> Iterator[list[str]]:
        setting = self.setting
        for point in measure_growth(spec, setting.plugins, steps=setting.steps, device=setting.device):
            self.points.append(point)
            yield [spec, point.axis, str(point.value), *_usage_cells(point.usage)]

    def draw(self, file: Path) -> Path | None:
        from harness.bench.plot_scaling import draw_growth

        return draw_growth(self.points, file)


class Tasks(Measurement):
    """Speed at which tasks make their data."""

    title = "A task's data on one thread"
    columns = ("task", "length", "source tokens/s", "with answers")

    def default_specs(self) -> list[str]:
        return list(self.catalog.names("task"))

    def rows(self, spec: str) -> Iterator[list[str]]:
        speed = measure_task(spec, self.catalog)
        yield [speed.task, str(speed.length), f"{speed.source:.1f} M", f"{speed.source_and_target:.1f} M"]


def _decoding_cells(cost: DecodingCost) -> tuple[str, str, str]:
    """Return milliseconds to the first token and of a token, and the KiB of the state, as text."""
    return f"{cost.first * 1e3:.2f}", f"{cost.seconds * 1e3:.2f}", f"{cost.bytes / 1024:.1f}"


def _usage_cells(usage: Usage | None) -> tuple[str, str]:
    """Return seconds and MiB as text."""
    return ("out of memory", "") if usage is None else (f"{usage.seconds:.4g}", f"{usage.bytes / (1 << 20):.1f}")


MEASUREMENTS: dict[str, type[Measurement]] = {
    "architectures": Steps,
    "populations": Populations,
    "decode": Decoding,
    "long": LongEvaluations,
    "growth": Growth,
    "tasks": Tasks,
}
