"""Compile RASP-L programs into the weights of a transformer (in kind: Tracr, Lindner et al. 2023, arXiv 2301.05062).

The result is a proof that the architecture can represent the task at every length up to its number of positions. What
training finds is another question.
"""

from harness.compiler.model import Compiled, compile_task, misfit, write_compiled
from harness.compiler.program import NotCompilable

__all__ = ["Compiled", "NotCompilable", "compile_task", "misfit", "write_compiled"]
