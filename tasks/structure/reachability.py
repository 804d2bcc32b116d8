"""Reachability: say whether two nodes of a graph are connected, given its edges in random order.

Sanford et al. 2024 ("Understanding Transformer Reasoning Capabilities via Graph Algorithms") place connectivity among
the tasks for which a transformer's depth has to grow with the logarithm of the size.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.structure._trees import distances, draw_edges, shuffle_edges
from tasks.validation import check_range


class Reachability(Task):
    """Write ``yes`` if a path joins the two queried nodes, else ``no``.

    The graph is two random trees of equal size. The length is the number of nodes, which is even; they are a uniform
    choice of the names. An edge is two nodes and ``;``. The query is ``?`` and two different nodes, in one tree or in
    both with equal probability.

    Args:
        names: number of node names ``n0``, ``n1``, ..., at least 4, which is also the size of the largest graph.

    Examples:
        n3 n1 ; n0 n2 ; ? n1 n3 -> yes
        n3 n1 ; n0 n2 ; ? n1 n0 -> no
        n1 n5 ; n2 n0 ; n5 n4 ; n7 n2 ; ? n4 n1 -> yes
    """

    answer = "readout"
    paper = "Sanford et al. 2024 (arXiv 2405.18512), graph connectivity"

    def __init__(self, *, names: int = 32) -> None:
        check_range("names", names, 4)
        self.names = names
        self.symbols = (*(f"n{i}" for i in range(names)), ";", "?", "no", "yes")
        self.lengths = range(4, names + 1, 2)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw two trees, a node of one of them, and another node of the same tree or of the other."""
        half = length // 2
        nodes = stream.permutation(self.names)[:, :length]
        edges = torch.cat([draw_edges(stream, tree) for tree in nodes.split(half, dim=1)], dim=1)
        lines = torch.nn.functional.pad(shuffle_edges(stream, edges), (0, 1), value=self.names).flatten(1)
        tree, place = stream.integers(2, 1), stream.integers(half, 1)
        within = tree * half + (place + 1 + stream.integers(half - 1, 1)) % half
        across = (1 - tree) * half + stream.integers(half, 1)
        other = torch.where(stream.integers(2, 1).bool(), within, across)
        query = nodes.gather(1, torch.cat((tree * half + place, other), dim=1))
        return torch.cat((lines, torch.full_like(query[:, :1], self.names + 1), query), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Compute the distances of all nodes from the first queried node."""
        edges, (start, goal) = source[:, :-3].unflatten(1, (-1, 3))[..., :2], source[:, -2:].split(1, dim=1)
        distance = distances(edges, start, self.names).gather(1, goal)
        return self.names + 2 + (distance < self.names).long()
