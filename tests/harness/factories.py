"""Made-up runs: frames as the records would give them, with failures, gaps and all else that a report must handle."""

import math
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.schema import ReportMeta
from harness.config.cell import TUNING_SEED
from harness.storage.records import ErrorCounts

ARCHITECTURES = ("lstm", "transformer:position=rope", "transformer:position=alibi", "mamba", "stack_rnn")
MANY = tuple(f"architecture_{n}:width=64" for n in range(14))
TASKS = {"parity": 0.5, "reverse": 0.0, "flip_flop:ignore=0.8": 0.5, "addition@long": 0.0}
MULTI_TOKEN = ("reverse", "addition@long")
LENGTHS = (5, 10, 20, 25, 40, 80, 160, 320)
NOT_APPLICABLE = ("stack_rnn", "addition@long")
Run = tuple[pd.DataFrame, pd.DataFrame, ReportMeta]


def skill(architecture: str, task: str, seed: int) -> float:
    """Return the length at which a made-up model has fallen half way to chance."""
    key = sum(map(ord, architecture + task))
    return (12, 30, 60, 150, 2000)[key % 5] * (0.8 + 0.15 * ((seed * 7 + key) % 4))


def reach(rate: float) -> float:
    """Return the share of its best validation score that a model reaches at a rate: 1 from 0.001 to 0.01."""
    return min(1.0, (rate / 0.001) ** 0.3, (0.01 / rate) ** 0.7)


def made_cell(architecture: str, task: str, seed: int, rate: float) -> dict[str, Any]:
    status, reason = "done", ""
    if (architecture, task) == NOT_APPLICABLE:
        status, reason = "not applicable", "it would read the answer"
    elif (architecture, task, seed) == ("mamba", "reverse", 1):
        status, reason = "failed", "loss is not finite at step 312 <b>&</b>"
    elif (architecture, seed, rate) == ("mamba", 2, 0.01):
        status = "missing"
    late = min(1.0, skill(architecture, task, seed) / 25) * reach(rate)
    fitted = 100.0 + 50 * ((seed * 7 + len(architecture)) % 8) if status == "done" and late >= 1 else math.nan
    used = min(1000.0, 1000 if math.isnan(fitted) else fitted + 200)
    noise = np.random.default_rng(seed).normal(0, 0.05, 41)
    losses = [0.7 * math.exp(-late * place / 8 + move) + 1e-3 for place, move in enumerate(noise)]
    state = {20: 4096, 320: 65536 if "transformer" in architecture else 4096}
    return {
        **{"run": "demo", "cell": f"{architecture}|{task}|{seed}|{rate}", "architecture": architecture, "task": task},
        **{"name": architecture.partition(":")[0], "family": "made up", "seed": seed, "learning_rate": rate},
        **{"status": status, "reason": reason, "steps": 1000, "steps_used": used, "train_low": 1, "train_high": 20},
        **{"validation_exact": late, "validation_loss": 0.01 + rate, "parameters": 21_000 + 900 * len(architecture)},
        **{"tokens_per_second": 9e4 + 1e3 * (seed % 1000), "fitted_at": fitted},
        **{"train_seconds": 75.0, "validate_seconds": 6.0, "evaluate_seconds": 9.0},
        **{"stale": (architecture, task) == ("lstm", "reverse"), "device": "cpu", "kernel": "reference"},
        **{"dtype": "float32", "git": "0123abc", "distinct": 0.93, "state_bytes": state},
        "curve": [{"step": 25 * place, "loss": loss} for place, loss in enumerate(losses) if 25 * place <= used]
        if status == "done"
        else None,
    }


def made_scores(cell: dict[str, Any], variant: str, step: int, final: bool) -> list[dict[str, Any]]:
    architecture, task = cell["architecture"], cell["task"]
    half = (
        skill(architecture, task, cell["seed"]) * reach(cell["learning_rate"]) * step / 1000 * (0.5 if variant else 1.0)
    )
    chance, rows = TASKS[task], []
    for length in LENGTHS:
        status = "out of memory" if architecture.endswith("alibi") and length > 160 else "ok"
        if (architecture, task) == ("lstm", "addition@long") and length > 20:
            status = "beyond reach"
        level = 1 / (1 + (length / half) ** 6) if half < 1000 else 1.0
        exact = round((chance + (1 - chance) * level) * 500) / 500
        grades = {"n": 500, "tokens": 500 * (length if task in MULTI_TOKEN else 1), "loss": 1 - level, "seconds": 0.1}
        grades |= {"exact": exact, "token": max(exact, 0.5 + 0.5 * level) if task in MULTI_TOKEN else exact}
        grades |= {"seen": 1.0 if length == 5 else 0.25 if length <= 20 else float("nan")}
        grades |= {"chance_exact": 0.5**length if task in MULTI_TOKEN else chance, "chance_token": 0.5}
        grades |= made_errors(task, length, level)
        identity = {"cell": cell["cell"], "variant": variant, "step": step, "final": final, "length": length}
        rows.append({**identity, "status": status, "in_range": length <= 20, **(grades if status == "ok" else {})})
    return rows


def made_errors(task: str, length: int, level: float) -> dict[str, ErrorCounts]:
    """Return made-up counts by position of answers with several tokens, and by events of flip-flop."""
    places = min(length, 32) if task in MULTI_TOKEN else 5 if task.startswith("flip_flop") else 0
    if not places:
        return {}
    wrong = [round(500 * (1 - level) * place / places) for place in range(places)]
    bins = {"n": [500] * places, "right": [500 - count for count in wrong], "loss": [count / 200 for count in wrong]}
    if task in MULTI_TOKEN:
        starts, first = list(range(1, 1 + places)), [max(wrong) // places] * places
        return {"by_position": ErrorCounts(starts=starts, first=first, **bins)}
    return {"by_events": ErrorCounts(starts=[0, 1, 2, 4, 8], **bins)}


def made_run(
    architectures: tuple[str, ...] = ARCHITECTURES,
    tasks: tuple[str, ...] = tuple(TASKS),
    seeds: int = 3,
    rates: tuple[float, ...] = (0.001, 0.01),
    steps: tuple[int, ...] = (250, 500, 1000),
    tuning: int = 0,
) -> Run:
    """Return the two frames and the meta data of a made-up run.

    With ``tuning`` seeds these are trained at every rate, and the ``seeds`` only at the first rate with the best score.
    """
    cells = [
        made_cell(a, t, s, r)
        for a in architectures
        for t in tasks
        for s in [*range(seeds), *range(TUNING_SEED, TUNING_SEED + tuning)]
        for r in (rates if not tuning or s >= TUNING_SEED else [max(rates, key=reach)])
    ]
    scores = []
    for cell in (cell for cell in cells if cell["status"] == "done"):
        variants = ("", "sparse") if cell["task"].startswith("flip_flop") else ("",)
        scores += [row for step in steps for v in variants for row in made_scores(cell, v, step, step == max(steps))]
    weights = np.tril(np.random.default_rng(0).random((12, 12)) ** 4)
    attention = {
        "weights": (weights / weights.sum(1, keepdims=True)).tolist(),
        "rows": "0110=1001011",
        "columns": "0110=1001011",
    }
    identity = {"architecture": architectures[0], "task": tasks[0]}
    meta = ReportMeta(
        title="A made-up comparison",
        description="**Nothing** here was trained: `made_run` wrote it. <script>alert()</script> ![x](http://x.org/x.png)",
        created="2026-01-01 12:00",
        command=["lengthwise run made-up.toml --workers 2"],
        git="0123abc",
        versions={"lengthwise": "0.1.0", "torch": "2.13.0"},
        catalog_order=architectures,
        tasks_order=tasks,
        inspections=[{**identity, "name": f"head {n}", **attention} for n in range(2)],
        notes=["Nothing to note."],
    )
    return pd.DataFrame(cells), pd.DataFrame(scores), meta
