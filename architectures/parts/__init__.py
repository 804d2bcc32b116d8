"""Pieces that several architectures share: scans, attention, feed-forward, positions and kernels."""
