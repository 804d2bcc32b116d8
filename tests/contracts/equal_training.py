"""Show that two versions of the training code give bit-equal results, and record that they do.

Records are stale if the code that trained them has changed. A change that adds a recipe key, or moves code, need not
change a number. This command trains small models with many recipes under the code of a commit and under that of the
working tree, and compares losses, validations, weights and scores. If all are equal, it adds the hash of today's code
to ``harness/registry/equal_training.txt``::

    python -m tests.contracts.equal_training COMMIT
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ARCHITECTURES = ["lstm", "transformer:dropout=0.1,depth=1", "gru", "ngram"]
TASKS = ["parity", "reverse:alphabet=2", "flip_flop", "parity_scratchpad"]
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "schedule": {"schedule": "inverse_sqrt", "warmup": 5, "weight_decay": 0.1, "beta2": 0.95, "clip": 0.1},
    "early": {"stop_when_fitted": True, "grace": 0.3, "train_lengths": "1:4", "steps": 60},
    "steps": {"length_growth": "steps", "full_range_share": 0.3},
    "mastery": {"length_growth": "mastery", "train_lengths": "1:4", "steps": 60},
    "smooth": {"label_smoothing": 0.1, "checkpoints": 3, "think": 1, "answer": "readout"},
    "sgd": {"optimizer": "torch.optim:SGD", "optimizer_options": {"momentum": 0.9}},
}
SHARED = {"steps": 30, "batch_size": 8, "train_lengths": "2:8", "warmup": 0, "validations": 6}


def results(folder: Path) -> dict[str, str]:
    """Train all recipes with the code that Python imports; return a hash of all numbers of each cell, by its id."""
    from rich.console import Console

    from harness.config.suite import make
    from harness.execution.make_plan import make_plan
    from harness.execution.run import execute
    from harness.execution.run_options import RunOptions
    from harness.registry.catalog import Catalog
    from harness.storage.folder import RunFolder

    hashes = {}
    for name, recipe in RECIPES.items():
        suite = {"name": name, "architectures": ARCHITECTURES, "tasks": TASKS, "seeds": 2, "samples": 16}
        suite |= {
            "test_lengths": "12,16",
            "recipe": SHARED | recipe,
            "learning_rates": [1e-2],
            "model": {"width": 16},
        }
        plan = make_plan(make(suite, name), Catalog())
        execute(plan, folder / name, RunOptions("cpu", 1), Console(file=io.StringIO()))
        run = RunFolder(folder / name)
        for cell in run.cell_ids():
            hashes[f"{name} {cell}"] = numbers_hash(run.cell(cell), run, cell)
    return hashes


def numbers_hash(records: Any, run: Any, cell: str) -> str:
    """Return a hash of the numbers of one cell: curve, steps, validation, weights and scores."""
    training = records.training
    values = [training and [training.curve, training.steps_used, training.fitted_at, training.validation_exact]]
    keys = ("variant", "length", "step", "status", "exact", "tokens", "right", "loss", "set_hash")
    values += [[getattr(record, key) for key in keys] for record in records.evaluations]
    for step in training.checkpoints if training else ():
        weights = run.weights(cell, step)
        values += [[name, tensor.double().flatten().tolist()] for name, tensor in sorted(weights.items())]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def results_in(checkout: Path) -> dict[str, str]:
    """Return :func:`results` with the code of a checkout, and the hash of its training code under an empty name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--print", folder]
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
        output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def print_results(folder: str) -> int:
    """Print the results of the code that Python imports as JSON."""
    from harness.registry import fingerprint

    current = getattr(fingerprint, "training_hash", fingerprint.training_fingerprint)()
    print(json.dumps({"": current} | results(Path(folder))))
    return 0


def main(commit: str) -> int:
    """Compare the working tree with a commit; return the exit code."""
    from harness.registry.fingerprint import EQUAL_TRAINING, equal_versions

    home = Path(__file__).parents[2]
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        subprocess.run(
            ["git", "worktree", "add", "--detach", earlier, commit], cwd=home, check=True, capture_output=True
        )
        try:
            old, new = results_in(earlier), results_in(home)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", earlier], cwd=home, check=True)
    before, after = old.pop(""), new.pop("")
    different = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    print(f"{len(new)} cells, training code {before} and {after}: {len(different)} differ", *different, sep="\n  ")
    if different:
        return 1
    versions = next((known for known in equal_versions() if before in known), [before])
    if after not in versions:
        lines = EQUAL_TRAINING.read_text().splitlines()
        kept = [line for line in lines if line.split() != versions]
        EQUAL_TRAINING.write_text("\n".join([*kept, " ".join([*versions, after])]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(print_results(sys.argv[2]) if sys.argv[1] == "--print" else main(sys.argv[1]))
