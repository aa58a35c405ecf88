"""VMAF motion (App. B.1): the mean difference of neighbouring blurred frames, by FFmpeg's vmafmotion inside
the process.

The paper drops clips with a mean of 2.0 or less. It does not say at which size it measured; frames taller
than `height` are scaled down first, which costs a third of the full size and moves the mean by little.
"""

from itertools import pairwise

import av
import numpy as np
from av.filter import Graph

from curation.footage import Observer, Seen

HEIGHT = 360  # rows; not disclosed


class VmafMotion(Observer):
    """Mean over the frames after the first, which has no neighbour and always scores 0."""

    def __init__(self, height: int = HEIGHT):
        self.height = height
        self.graph: Graph | None = None
        self.shape: tuple | None = None
        self.scores: list[float] = []

    def see(self, seen: Seen) -> None:
        frame = seen.frame
        shape = (frame.width, frame.height, frame.format.name)
        first = self.graph is None or shape != self.shape  # a stream may change its size
        if self.graph is None or first:
            self.graph, self.shape = self._build(frame), shape
        self.graph.push(frame)
        score = float(self.graph.pull().metadata["lavfi.vmafmotion.score"])
        if not first:
            self.scores.append(score)

    def result(self) -> dict[str, float | None]:
        return {"vmaf_motion": float(np.mean(self.scores)) if self.scores else None}

    def _build(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        shape = {
            "width": frame.width,
            "height": frame.height,
            "format": frame.format,
            "time_base": frame.time_base,
        }
        nodes = [graph.add_buffer(**shape)]
        if frame.height > self.height:
            nodes.append(graph.add("scale", f"-2:{self.height}"))
        nodes += [graph.add("format", "gray"), graph.add("vmafmotion"), graph.add("buffersink")]
        for one, next_one in pairwise(nodes):
            one.link_to(next_one)
        graph.configure()
        return graph
