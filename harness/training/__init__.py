"""Training: the trainer, its optimizers, CUDA graphs, snapshots to resume from, and memory limits."""
