"""What ``lengthwise bench`` can measure: each kind a table, with one row or more for a spec, and perhaps a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.bench import bench
from harness.bench.decode import LENGTHS as DECODED
from harness.bench.decode import Decode, decode_costs
from harness.bench.isolated import Spent
from harness.bench.long import LENGTHS as LONG
from harness.bench.long import long_costs
from harness.bench.populations import population_speed
from harness.bench.roofline import peak_rates
from harness.bench.scaling import Point, growth
from harness.bench.step import PHASES
from harness.bench.tasks import task_speed
from harness.errors import UserError
from harness.registry.catalog import Catalog


@dataclass(frozen=True)
class Setting:
    """Where, and how long, and with what is measured."""

    catalog: Catalog
    plugins: tuple[Path, ...]
    device: str
    steps: int


class Measure:
    """One kind of measurement; ``trained`` says that it takes models which gradients train, and no others."""

    title: ClassVar[str]
    columns: ClassVar[Sequence[str]]
    note: ClassVar[str] = ""
    trained: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        self.setting, self.catalog = setting, setting.catalog

    def specs(self) -> list[str]:
        """Return what is measured where nothing is asked for: every architecture that imports and is ``trained``."""
        return [name for name in self.catalog.names("architecture") if self._suits(name)]

    def rows(self, spec: str) -> Iterator[list[str]]:
        """Measure one spec."""
        raise NotImplementedError

    def picture(self, file: Path) -> Path | None:
        """Draw what was measured; ``None`` where there is nothing to draw."""
        return None

    def _suits(self, name: str) -> bool:
        try:
            cls = self.catalog.find("architecture", name).cls
        except UserError:
            return False
        return not (self.trained and hasattr(cls, "is_gradient_free") and cls.is_gradient_free())


class Steps(Measure):
    """Where a step's time goes, and the harness beside a plain loop."""

    title = "Milliseconds of a training step"
    columns = ("architecture", *PHASES, "step", "overhead", "tokens/s", "x plain", "x reference")
    note = (
        "overhead: the share of a step in none of the four phases; x plain: how many times faster than a hand-written "
        "loop; x reference: the usual kernel against the one that is the equation."
    )

    def rows(self, spec: str) -> Iterator[list[str]]:
        for each in bench([spec], self.catalog, steps=self.setting.steps, device=self.setting.device):
            spent = [f"{each.split.milliseconds[name]:.2f}" for name in PHASES] + [f"{each.split.step:.2f}"]
            ratios = [f"{each.split.overhead:.1%}", f"{each.tokens_per_second:.0f}", f"{each.against_plain:.2f}"]
            beside = "" if each.against_reference is None else f"{each.against_reference:.2f}"
            yield [each.architecture, *spent, *ratios, beside]


class Populations(Measure):
    """Many models as one program, against as many one after another."""

    title = "Populations, against as many models one by one"
    columns = ("architecture", "models", "ms a step", "models/s", "x plain", "x replayed", "x floor")
    per = 1000
    note = (
        f"models/s: trained a second, at {per} steps each; x plain: how many times faster than a hand-written loop; x "
        "replayed: than one model whose steps a GPU replays; x floor: how much longer than operations and bytes need."
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.rates = peak_rates(setting.device)

    def rows(self, spec: str) -> Iterator[list[str]]:
        setting = self.setting
        for each in population_speed(spec, self.catalog, self.rates, steps=setting.steps, device=setting.device):
            speed = f"{each.size / (each.seconds * self.per):.3g}"
            beside = "" if each.against_replayed is None else f"{each.against_replayed:.2f}"
            ratios = [f"{each.against_plain:.2f}", beside, f"{each.beyond_floor:.1f}"]
            yield [spec, str(each.size), f"{each.seconds * 1e3:.2f}", speed, *ratios]


class Decoding(Measure):
    """Time and state of decoding, token by token."""

    title = "Decoding one sequence, token by token"
    columns = ("architecture", *(f"ms@{n}" for n in DECODED), *(f"KiB@{n}" for n in DECODED))

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.costs: dict[str, list[Decode]] = {}

    def rows(self, spec: str) -> Iterator[list[str]]:
        self.costs[spec] = decode_costs(spec, self.catalog, device=self.setting.device)
        at = {each.length: each for each in self.costs[spec]}
        times = [f"{at[n].seconds * 1e3:.2f}" if n in at else "" for n in DECODED]
        yield [spec, *times, *(f"{at[n].bytes / 1024:.1f}" if n in at else "" for n in DECODED)]

    def picture(self, file: Path) -> Path | None:
        from harness.bench.plot_decoding import draw_decoding

        return draw_decoding(self.costs, file)


class Long(Measure):
    """Scoring one row far beyond any training length."""

    title = "Scoring one row of a long length"
    trained = False
    columns = ("architecture", *(f"s@{n}" for n in LONG), *(f"MiB@{n}" for n in LONG))

    def rows(self, spec: str) -> Iterator[list[str]]:
        costs = long_costs(spec, self.setting.plugins, device=self.setting.device)
        spent = {each.length: each.spent for each in costs}
        known = [_spent(spent[n]) if n in spent else ["beyond reach", ""] for n in LONG]
        yield [spec, *(pair[0] for pair in known), *(pair[1] for pair in known)]


class Growth(Measure):
    """How a step's time and memory grow."""

    title = "How the cost of training grows"
    columns = ("architecture", "of", "value", "seconds", "MiB")

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.points: list[Point] = []

    def specs(self) -> list[str]:
        return ["lstm", "transformer", "mamba2"]

    def rows(self, spec: str) -> Iterator[list[str]]:
        setting = self.setting
        for each in growth(spec, setting.plugins, steps=setting.steps, device=setting.device):
            self.points.append(each)
            yield [spec, each.axis, str(each.value), *_spent(each.spent)]

    def picture(self, file: Path) -> Path | None:
        from harness.bench.plot_scaling import draw_growth

        return draw_growth(self.points, file)


class Tasks(Measure):
    """How fast tasks make their data."""

    title = "A task's data on one thread"
    columns = ("task", "length", "source tokens/s", "with answers")

    def specs(self) -> list[str]:
        return list(self.catalog.names("task"))

    def rows(self, spec: str) -> Iterator[list[str]]:
        each = task_speed(spec, self.catalog)
        yield [each.task, str(each.length), f"{each.source:.1f} M", f"{each.whole:.1f} M"]


def _spent(spent: Spent | None) -> list[str]:
    """Return seconds and MiB."""
    return ["out of memory", ""] if spent is None else [f"{spent.seconds:.4g}", f"{spent.bytes / (1 << 20):.1f}"]


MEASURES: dict[str, type[Measure]] = {
    "architectures": Steps,
    "populations": Populations,
    "decode": Decoding,
    "long": Long,
    "growth": Growth,
    "tasks": Tasks,
}
