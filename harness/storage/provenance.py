"""Provenance: the software, device, settings, time and machine of a result, written into its record."""

import platform
import socket
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
    """Return the versions of Python and of those packages that are installed."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


@cache
def git_commit() -> str:
    """Return the commit of the source tree, with ``+`` if it has uncommitted changes; empty outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():  # git would otherwise find a repository that encloses an installed package
        return ""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    output = subprocess.run(command, capture_output=True, check=True, timeout=10).stdout
    return output.decode("utf-8", "replace").strip()


@cache
def device_name(device: str) -> str:
    """Return the name of a GPU, or ``cpu`` with the name of the processor; ``cuda`` for a GPU of another machine."""
    if device.startswith("cuda"):
        if not torch.cuda.is_available():
            return "cuda"
        return torch.cuda.get_device_name(torch.device(device))
    return f"cpu ({_cpu_model()})"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def provenance(device: str, numerics: Numerics = FLOAT32) -> Provenance:
    """Return the provenance of a result that is computed now."""
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        git=git_commit(),
        device=device_name(device),
        precision=numerics.precision,
        tf32=tf32(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        threads=torch.get_num_threads(),
        host=socket.gethostname(),
    )
