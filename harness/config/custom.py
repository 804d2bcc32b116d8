"""Custom suites: those that architectures and tasks define on the command line or in Python, without a file.

They all have the name ``custom``. Their default folder has a hash of architectures, tasks and recipe in its name, so
different comparisons do not mix. More seeds, learning rates or test lengths extend the same one.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from harness.config.lengths import Span
from harness.config.suite import Suite

CUSTOM = "custom"
ROOT_VARIABLE = "LENGTHWISE_RESULTS"
DIGITS = 4


def custom_test_lengths(longest: int) -> str:
    """Return test lengths from the longest training length on to five times of it."""
    return str(Span(longest + 1, 5 * longest))


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
