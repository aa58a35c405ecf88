"""How loud a clip is, how much of it is silent, and whether its peaks are cut off. At the rate and with the
channels that the file has; no model."""

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from jaxtyping import Float

from curation.sound import Sound

SILENCE = -60.0  # not disclosed: dB below full scale, root mean square of a window
WINDOW = 0.1  # seconds of such a window
FULL = 0.999  # of full scale: a sample that is this large may have been cut
RUN = 3  # samples in a row that large: a wave seldom rests on its peak


def levels(sound: Sound) -> dict[str, float]:
    """The columns of a clip that has sound."""
    return {
        "loudness": loudness(sound),
        "silence": silence(sound.native, sound.rate),
        "clipping": clipping(sound.native),
    }


def loudness(sound: Sound) -> float:
    """Integrated loudness by EBU R128 in LUFS; -70, where its gate lies, for what is not above."""
    graph, tick = Graph(), Fraction(1, sound.rate)
    source = graph.add_abuffer(sample_rate=sound.rate, format="fltp", layout=sound.layout, time_base=tick)
    meter, sink = graph.add("ebur128", "metadata=1"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    found = -70.0
    for first in range(0, sound.native.shape[1], sound.rate):
        part = np.ascontiguousarray(sound.native[:, first : first + sound.rate])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=sound.layout)
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, first, tick
        graph.push(frame)
        found = _last(graph, found)
    graph.push(None)
    return _last(graph, found)


def _last(graph: Graph, before: float) -> float:
    """The loudness so far, as the newest frame that comes out of the meter says."""
    while True:
        try:
            before = float(graph.pull().metadata.get("lavfi.r128.I", before))
        except (av.BlockingIOError, av.EOFError):
            return before


def silence(samples: Float[np.ndarray, "channels n"], rate: int) -> float:
    """Part of the windows in which every channel is below `SILENCE`; 1 for a clip shorter than one."""
    size = round(WINDOW * rate)
    windows = samples[:, : samples.shape[1] // size * size].reshape(len(samples), -1, size)
    if not windows.shape[1]:
        return 1.0
    power = np.square(windows, dtype=np.float64).mean(axis=2).max(axis=0)
    return float((power < 10 ** (SILENCE / 10)).mean())


def clipping(samples: Float[np.ndarray, "channels n"]) -> float:
    """Part of all samples that rest at full scale, `RUN` or more in a row."""
    loud = np.abs(samples) >= FULL
    padded = np.pad(loud, ((0, 0), (1, 1))).astype(np.int8)
    edges = np.diff(padded, axis=1)
    lengths = np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]
    return float(lengths[lengths >= RUN].sum() / max(samples.size, 1))
