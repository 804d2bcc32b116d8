"""With what, where and when: the facts that every record carries."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from harness.models.precision import FLOAT32, Numerics, tf32
from harness.storage.records import Provenance

PACKAGES = (
    "lengthwise",
    "torch",
    "numpy",
    "pandas",
    "flash-attn",
    "flash-linear-attention",
    "mamba-ssm",
    "causal-conv1d",
    "triton",
)


@cache
def versions() -> dict[str, str]:
    """Return Python's and the packages' versions; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def git_commit() -> str:
    """Return the commit of the source tree, with ``+`` where it has uncommitted changes; empty outside a checkout."""
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():  # else an enclosing repository would answer for an installed package
        return ""
    try:
        commit = _git(home, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(home, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(home: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(home), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


@cache
def device_name(device: str) -> str:
    """Return a device in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    return f"cpu ({_cpu_model()})"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def provenance(device: str, numerics: Numerics = FLOAT32) -> Provenance:
    """Return the facts as of now."""
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        git=git_commit(),
        device=device_name(device),
        precision=numerics.precision,
        tf32=tf32(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        threads=torch.get_num_threads(),
    )
