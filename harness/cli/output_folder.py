"""The default folder of a run: below the results folder, named after the suite.

Runs that ``-a`` and ``-t`` define are all of the suite ``custom``. Their folder has a hash of architectures, tasks and
recipe in its name, so different comparisons do not mix. More seeds, learning rates or test lengths extend the same one.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from harness.cli.suite_options import CUSTOM
from harness.config.suite import Suite

ROOT_VARIABLE = "LENGTHWISE_RESULTS"
DIGITS = 4


def results_root() -> Path:
    """Return the folder of all runs: the environment variable ``LENGTHWISE_RESULTS``, or ``results``."""
    return Path(os.environ.get(ROOT_VARIABLE) or "results")


def default_output(suite: Suite) -> Path:
    """Return the folder of a suite's run, for example ``results/quick`` or ``results/custom-3f2a``."""
    return results_root() / (f"{CUSTOM}-{_content(suite)}" if suite.name == CUSTOM else suite.name)


def _content(suite: Suite) -> str:
    """Return a hash of what is compared and how it is trained; the order of architectures and tasks does not count."""
    tasks = [entry.overrides | {"task": entry.task} for entry in suite.tasks]
    content = [_sorted_json(suite.architectures), _sorted_json(tasks), suite.recipe, suite.model]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def _sorted_json(items: Iterable[object]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True, default=str) for item in items)
