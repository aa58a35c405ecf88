"""keyframes: what a clip shows on its keyframes alone, 47 to 643 times real time on one core; for a cascade.

Runs only when a rule of the cascade asks for its columns (curation/cascade.py) or when it is named. Its
scores are bounds, in columns of their own: a clip with text on a keyframe has text, whatever else it shows;
a clip without may have text in between, which the visual stage then finds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
from av.container import InputContainer

from curation.footage import Seen, open_video, sample_indices, stamp, stamped
from curation.reduced import Reducer
from curation.stage import Gated, Row, RowStage
from storage import hash_file

LEAST = 2  # keyframes that must agree on a border
MOST = 12  # keyframes held: codecs of keyframes alone have hundreds in a clip
REORDERED = 20  # packets beyond the end after which no earlier one follows: more than any reordering


@dataclass(frozen=True, kw_only=True)
class Keyframes(Gated, RowStage):
    """Settings of the keyframes stage."""

    name: ClassVar[str] = "keyframes"
    on_demand: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ("source", "start_pts", "end_pts", "usable")
    adds: ClassVar[tuple[str, ...]] = ("key_frames", "key_text", "key_border", "packet_bits")

    text_frames: int = 2
    "Keyframes read for text; 0 reads none (key_text stays empty)"
    text_side: int = 480
    "Pixels of the shorter side of a keyframe when it is read"
    text_box: float = 0.5
    "Least detection score of a text box"
    border_frames: int = 6
    "Keyframes looked at for borders; a clip with fewer than two has no key_border"

    def weights(self) -> dict[str, str]:
        if not self.text_frames:
            return {}
        from curation.scores.packaged import text_models

        return {key: hash_file(path) for key, path in text_models().items()}

    def open(self, root: Path) -> Callable[[Row], Row]:
        from curation.scores.borders import border_of
        from curation.scores.text import TextReader, text_score

        reader = TextReader(self.text_side, self.text_box) if self.text_frames else None

        def keyframes(row: Row) -> Row:
            if not row["usable"]:
                return {}
            seen = glance(root / row["source"], row["start_pts"], row["end_pts"])
            found: Row = {"key_frames": seen.count}
            if seen.sizes:
                found["packet_bits"] = 8 * float(np.median(seen.sizes)) / seen.pixels
            frames = seen.keys
            if len(frames) >= LEAST:
                looked = [frames[k] for k in sample_indices(len(frames), self.border_frames)]
                found["key_border"] = border_of([key.gray for key in looked])
            if frames and reader:
                read = [frames[k] for k in sample_indices(len(frames), self.text_frames)]
                found["key_text"] = max(text_score(reader.read(key.rgb)) for key in read)
            return found

        return keyframes


@dataclass
class Glance:
    """What a span shows without decoding it whole."""

    keys: list[Seen] = field(default_factory=list)
    "Keyframes, at most about `MOST`, spread over the span"
    count: int = 0
    "All keyframes of the span"
    sizes: list[int] = field(default_factory=list)
    "Bytes of each other packet"
    pixels: int = 1
    "Of a frame"


def glance(path: Path, start_pts: int, end_pts: int) -> Glance:
    """Decode the keyframes of a span and weigh its other packets."""
    found, reducer = Glance(), Reducer()
    apart = (end_pts - start_pts) // MOST
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.skip_frame = "NONKEY"
        found.pixels = stream.codec_context.width * stream.codec_context.height
        if start_pts > (stream.start_time or 0):
            container.seek(start_pts, stream=stream)
        last = None
        for frame in stamped(_decoded(container, stream, found.sizes, range(start_pts, end_pts))):
            if start_pts <= stamp(frame) < end_pts:
                found.count += 1
                if last is None or stamp(frame) >= last + apart:
                    last = stamp(frame)
                    found.keys.append(Seen(frame, len(found.keys), reducer))
    return found


def _decoded(
    container: InputContainer, stream: av.VideoStream, sizes: list[int], span: range
) -> Iterator[av.VideoFrame]:
    """Decode the keyframes up to the end of the span; note the sizes of the other packets within."""
    late = 0
    for packet in container.demux(stream):
        when = packet.pts if packet.pts is not None else packet.dts
        if when is not None and packet.size:
            if when in span and not packet.is_keyframe:
                sizes.append(packet.size)
            late = late + 1 if when >= span.stop else 0
        if late > REORDERED:  # packets come in decoding order, a few frames before or after their time
            return
        yield from packet.decode()
