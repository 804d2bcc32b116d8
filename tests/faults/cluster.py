"""A Ray cluster of three node processes on this machine: one is killed in the middle of a run, and one is added.

Each node has one CPU and trains one model for so long that the driver has snapshots of it.
"""

import os
import time
from pathlib import Path
from typing import Any

from tests.faults import sweep

LONG = '''"""A plug-in whose trainings write snapshots often."""
import time
from torch import nn
from architectures.base import Mixer
import harness.training.trainer

harness.training.trainer.SNAPSHOT_SECONDS = 0.3
PAUSE = 0.0

class Long(Mixer):
    """A linear map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x, context):
        time.sleep(PAUSE)
        return self.inner(x)
'''


class Nodes:
    """A cluster of nodes with one CPU each next to the head, as a context manager; its processes have a mark."""

    def __init__(self, mark: Path, nodes: int, head_cpus: int = 0) -> None:
        from ray.cluster_utils import Cluster

        os.environ |= {sweep.MARK: str(mark), "PYTHONPATH": str(sweep.ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
        head = {"num_cpus": head_cpus, "include_dashboard": False}
        self.cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self.add() for _ in range(nodes)]

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *error: object) -> None:
        self.cluster.shutdown()
        del os.environ[sweep.MARK]

    @property
    def address(self) -> str:
        """The address for ``--address``."""
        return str(self.cluster.address)

    def add(self) -> Any:
        """Add a node with one CPU."""
        return self.cluster.add_node(num_cpus=1)

    def kill_first(self) -> None:
        """Kill a node and what runs on it."""
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)


def lost_and_added(folder: Path) -> dict[str, bool]:
    """Kill a node once the driver has a snapshot of each training, add another, and say what holds at the end."""
    plugin, run, alone = folder / "long.py", folder / "run", folder / "alone"
    plugin.write_text(LONG)
    with Nodes(run, 3) as nodes:
        driver = sweep.start(run, 3, 9, "ray", nodes.address, plugin)
        assert sweep.wait_until(lambda: len(list(run.glob("snapshots/*.snapshot"))) == 3, 600)
        nodes.kill_first()
        nodes.add()
        code = driver.wait()
    sweep.drive(alone, 3, 1, plugin=plugin)
    log = sweep.log_of(run).read_text()
    return {
        "the run ends without a failed cell": not code and len(sweep.finished(run)) == 3,
        "the lost training resumes from its snapshot": "resumes from step" in log,
        "scores are those of a local run": sweep.score_table(run) == sweep.score_table(alone),
        "weights are those of a local run": _weights(run) == _weights(alone),
    }


def interrupted(folder: Path) -> dict[str, bool]:
    """Interrupt the driver in a training as a batch system does, and say what holds then."""
    plugin, run = folder / "long.py", folder / "run"
    plugin.write_text(LONG.replace("SECONDS = 0.3", "SECONDS = 3.0").replace("PAUSE = 0.0", "PAUSE = 0.1"))
    with Nodes(folder, 0, head_cpus=1) as nodes:
        driver = sweep.start(run, 1, 1, "ray", nodes.address, plugin)
        assert sweep.wait_until(lambda: list(run.glob("snapshots/*.snapshot")), 600)
        began = time.time()
        driver.terminate()
        code = driver.wait()
        ended = sweep.wait_until(lambda: not sweep.processes(run), 20.0)
    times = [path.stat().st_mtime for path in run.glob("snapshots/*.snapshot")]
    return {
        "SIGTERM ends the driver": code != 0 and not sweep.finished(run),
        "the worker sends a last snapshot": len(times) == 1 and times[0] > began,
        "no worker is left": ended,
    }


def _weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("cells/*/weights-*"))}
