"""Tree path: write the path between two nodes of a tree that is given as a list of edges in random order.

Cai et al. 2025 ("Extrapolation by Association: Length Generalization Transfer in Transformers") train on shortest paths
in mazes, which are spanning trees of a grid. Here trees are random recursive trees, which need no grid.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.structure._trees import distances, draw_edges, shuffle_edges
from tasks.validation import AtLeastTwo


class TreePath(Task):
    """Write the nodes of the path from the first queried node to the second.

    The length is the number of nodes of the tree, which are a uniform choice of the names. An edge is two nodes and
    ``;``. The query is ``?`` and two different nodes. The answer includes both.

    Args:
        names: number of node names ``n0``, ``n1``, ..., which is also the size of the largest tree.

    Examples:
        n3 n1 ; ? n1 n3 -> n1 n3
        n4 n0 ; n2 n4 ; n0 n7 ; ? n7 n2 -> n7 n0 n4 n2
        n4 n0 ; n2 n4 ; n0 n7 ; ? n0 n4 -> n0 n4 . .
    """

    answer = "generate"
    paper = "Cai et al. 2025 (arXiv 2506.09251), shortest paths in mazes, on random trees"

    def __init__(self, *, names: AtLeastTwo = 32) -> None:
        self.names = names
        self.symbols = (*(f"n{i}" for i in range(names)), ";", "?")
        self.lengths = range(2, names + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a tree and two of its nodes."""
        nodes = stream.permutation(self.names)[:, :length]
        edges = shuffle_edges(stream, draw_edges(stream, nodes))
        lines = torch.nn.functional.pad(edges, (0, 1), value=self.names).flatten(1)
        query = nodes.gather(1, stream.permutation(length)[:, :2])
        return torch.cat((lines, torch.full_like(query[:, :1], self.names + 1), query), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Compute all distances from both ends; a node is on the path if they add up to the distance of the ends."""
        edges, (start, goal) = source[:, :-3].unflatten(1, (-1, 3))[..., :2], source[:, -2:].split(1, dim=1)
        from_start, from_goal = (distances(edges, node, self.names) for node in (start, goal))
        on_path = from_start + from_goal == from_start.gather(1, goal)
        place = torch.where(on_path, from_start, self.names)  # nodes that are not on the path write to the last column
        answer = source.new_full((len(source), self.names + 1), IGNORE)
        nodes = torch.arange(self.names, device=source.device).expand_as(place)
        return answer.scatter(1, place, nodes)[:, : edges.shape[1] + 1]
