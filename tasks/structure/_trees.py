"""Random trees as lists of edges, shared by tasks that ask about graphs."""

import torch
from torch import Tensor

from tasks.base import Stream


def draw_edges(stream: Stream, names: Tensor) -> Tensor:
    """Draw a random recursive tree over the given nodes ``[B, n]``: edges, long ``[B, n - 1, 2]``.

    Each node but the first is joined to a uniform earlier one. The nodes come in random order, so the tree says nothing
    about their names.
    """
    earlier = torch.arange(1, names.shape[1], device=names.device)  # the number of nodes before each
    parent = names.gather(1, stream.integers(earlier, names.shape[1] - 1))
    return torch.stack((names[:, 1:], parent), dim=-1)


def shuffle_edges(stream: Stream, edges: Tensor) -> Tensor:
    """Put the edges ``[B, E, 2]`` in random order, and each edge's nodes too."""
    order = stream.permutation(edges.shape[1])
    edges = edges.gather(1, order[..., None].expand_as(edges))
    swap = stream.integers(2, edges.shape[1], 1).bool()
    return torch.where(swap, edges.flip(2), edges)


def distances(edges: Tensor, start: Tensor, size: int) -> Tensor:
    """Return the number of edges from ``start`` ``[B, 1]`` to every node below ``size``: long ``[B, size]``.

    Nodes that cannot be reached, or are not in the graph, get ``size``.
    """
    nodes = torch.arange(size, device=edges.device)
    distance = torch.where(nodes == start, 0, size)
    ends = torch.cat((edges, edges.flip(2)), dim=1)  # every edge in both directions
    for _ in range(edges.shape[1]):
        through = (distance.gather(1, ends[..., 0]) + 1).clamp(max=size)
        distance = distance.scatter_reduce(1, ends[..., 1], through, "amin")
    return distance
