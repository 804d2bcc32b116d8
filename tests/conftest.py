"""One OpenMP thread a test process: two of them on a busy pair of cores are several times slower than one."""

import gc
import os

import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for what tests start
os.environ.pop("COLUMNS", None)  # the workers of pytest-xdist have one, and output would be as narrow as that
torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """Leave the thousands of collected tests out of garbage collection, which every training does once."""
    gc.collect()
    gc.freeze()
