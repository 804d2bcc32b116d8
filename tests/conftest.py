"""One OpenMP thread a test process: two of them on a busy pair of cores are several times slower than one."""

import os

import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for what tests start
torch.set_num_threads(1)
