"""Inject faults into sweeps and print what happened: ``python -m tests.faults`` or ``make faults``.

Only a table of zeros, and "yes" in each line, is a success; otherwise the exit code is 1. Without Ray its lines are
left out.
"""

import argparse
import random
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.faults import sweep
from tests.faults.cluster import Nodes, interrupted, lost_and_added
from tests.faults.kills import Figures, KilledSweeps
from tests.faults.machine import FAULTS, Machine


def main() -> int:
    """Run what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="random kills under each launcher")
    parser.add_argument("--minutes", type=float, default=10.0, help="after which no more kills are made, each launcher")
    parser.add_argument("--cells", type=int, default=40, help="of each sweep, a multiple of four")
    parser.add_argument("--pace", type=float, default=4.0, help="the most seconds between two kills")
    parser.add_argument("--seed", type=int, default=0, help="of the times and victims of the kills")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default: all)")
    arguments = parser.parse_args()
    chosen = arguments.parts or [part for part in PARTS if part == "kills" or "ray" not in part or find_spec("ray")]
    with tempfile.TemporaryDirectory(prefix="lengthwise-faults-") as path:
        folder = Path(path)
        expected = folder / "undisturbed"
        sweep.drive(expected, arguments.cells, 1)
        results = [PARTS[part](folder / part, sweep.score_table(expected), arguments) for part in chosen]
    return 0 if all(results) else 1


def local_kills(folder: Path, expected: bytes, arguments: argparse.Namespace) -> bool:
    """Kill processes of the local launcher."""
    return _kills("local", folder, expected, arguments, [2])


def ray_kills(folder: Path, expected: bytes, arguments: argparse.Namespace) -> bool:
    """Kill driver, relays and workers on a cluster."""
    with Nodes(folder, 0, head_cpus=2) as nodes:
        return _kills("ray", folder, expected, arguments, [2, "ray", nodes.address])


def _kills(name: str, folder: Path, expected: bytes, arguments: argparse.Namespace, driver: list[object]) -> bool:
    folder.mkdir(parents=True)
    generator, began = random.Random(arguments.seed), time.monotonic()
    killed = KilledSweeps(folder, arguments.cells, expected, arguments.pace, driver, generator)
    figures = killed.run(arguments.kills, 60 * arguments.minutes)
    print(f"{name}: {_text(figures, arguments.cells)} ({time.monotonic() - began:.0f} s)", flush=True)
    print("".join(f"  {note}\n" for note in figures.notes), end="", flush=True)
    return figures.is_clean


def _text(figures: Figures, cells: int) -> str:
    kills = f"{figures.kills} kills ({figures.of_driver} of the driver)"
    done = f"{figures.sweeps} sweeps of {cells} cells, {figures.finished} cells finished"
    faults = f"{figures.lost} lost, {figures.duplicated} trained twice, {figures.damaged} damaged files"
    return f"{kills}, {done}, {faults}, {figures.orphans} orphans, {figures.different_tables} different tables"


def machine_faults(folder: Path, expected: bytes, arguments: argparse.Namespace) -> bool:
    """Inject each fault of the machine once."""
    results = {name: fault(Machine(folder / name, arguments.cells, expected)) for name, fault in FAULTS.items()}
    return _print_results(results)


def lost_nodes(folder: Path, expected: bytes, arguments: argparse.Namespace) -> bool:
    """Kill a node of a cluster and add another; interrupt a run."""
    results = {}
    for scenario in (lost_and_added, interrupted):
        (folder / scenario.__name__).mkdir(parents=True)
        results |= scenario(folder / scenario.__name__)
    return _print_results(results)


def _print_results(results: dict[str, bool]) -> bool:
    for name, is_right in results.items():
        print(f"{name}: {'yes' if is_right else 'NO'}", flush=True)
    return all(results.values())


PARTS = {"kills": local_kills, "machine": machine_faults, "ray-kills": ray_kills, "ray-nodes": lost_nodes}

if __name__ == "__main__":
    sys.exit(main())
