"""The clips nearest to seeds (Sec. 3.3): for finetuning, the paper chooses seed videos by concept, by hand
and takes their neighbours in the space of clips.

A seed is a clip of the run, all clips of a file of the run, or a video that is elsewhere.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pyarrow as pa
from jaxtyping import Float

from console import UserError
from curation.footage import Observer, frames_of, watch
from curation.scores.near import nearest
from curation.stage import Row
from curation.stages.embed import Embed

FILE = "nearest.parquet"  # in the output folder
COLUMNS = ("clip_id", "source", "embedding", "meaning")  # what it needs of each clip
SCHEMA = pa.schema(
    [
        ("seed", pa.string()),  # a clip_id, or the path of a video that is elsewhere
        ("clip_id", pa.string()),
        ("rank", pa.int64()),  # from 1, of the neighbours of a seed
        ("cosine", pa.float64()),
        ("source", pa.string()),
    ]
)
WHOLE = 2**62  # ticks beyond either end of any file


class Seed(NamedTuple):
    """What neighbours are looked for of."""

    name: str
    vector: Float[np.ndarray, " d"]


def space_of(clips: pa.Table) -> str:
    """The column in which clips are compared: meaning where the run has it."""
    column = "meaning" if clips.column("meaning").null_count < len(clips) else "embedding"
    if clips.column(column).null_count == len(clips):
        raise UserError("No clip of this run has an embedding. Run first: --stage embed")
    return column


def seeds_of(given: Sequence[str], clips: pa.Table, embed: Callable[[Path], Row]) -> list[Seed]:
    """The seeds that `given` names: the beginning of a clip_id, a source of the run, or the path of a video,
    which `embed` measures. clips: all of the run, with `COLUMNS`. A UserError names what is none of these."""
    space = space_of(clips)
    ids, sources = (clips.column(name).to_pylist() for name in ("clip_id", "source"))
    found: dict[str, Seed] = {}
    for text in given:
        rows = [k for k, source in enumerate(sources) if source == text]
        rows = rows or [k for k, clip in enumerate(ids) if clip.startswith(text)]
        vectors = {ids[k]: clips.column(space)[k].as_py() for k in rows}
        if not rows and Path(text).is_file():
            vectors = {text: embed(Path(text))[space]}
        if not vectors:
            raise UserError(
                f"Seed {text!r} is neither a clip_id nor a source of this run that was measured, nor a file."
            )
        for name, vector in vectors.items():
            if vector is not None:
                found[name] = Seed(name, np.asarray(vector, np.float32))
    return list(found.values())


def neighbours(seeds: Sequence[Seed], clips: pa.Table, each: int) -> pa.Table:
    """For each seed its `each` nearest of `clips`, nearest first; the seed itself and exact copies of what is
    named already are left out. The order of clips and seeds does not matter."""
    space = space_of(clips)
    clips = clips.filter(clips.column(space).is_valid()).sort_by(
        [("clip_id", "ascending"), ("source", "ascending")]
    )
    ids, sources = (clips.column(name).to_pylist() for name in ("clip_id", "source"))
    first = [k for k, clip in enumerate(ids) if k == 0 or clip != ids[k - 1]]
    column = clips.column(space).combine_chunks()
    rows = column.flatten().to_numpy(zero_copy_only=False).reshape(len(ids), -1)[first]
    found: list[Row] = []
    for seed in sorted(seeds, key=lambda seed: seed.name):
        _, near, cosines = nearest(seed.vector[None], rows, each + 1)
        others = [(first[k], cosine) for k, cosine in zip(near.tolist(), cosines.tolist(), strict=True)
                  if ids[first[k]] != seed.name][:each]  # fmt: skip
        found += [
            {"seed": seed.name, "clip_id": ids[k], "rank": rank, "cosine": cosine, "source": sources[k]}
            for rank, (k, cosine) in enumerate(others, 1)
        ]
    return pa.Table.from_pylist(found, SCHEMA)


def embedder(stage: Embed) -> Callable[[Path], Row]:
    """What measures a video that is no part of the run, as one clip, by the settings of the run."""
    observers_of = stage.open(Path())

    def embed(path: Path) -> Row:
        try:
            frames = sum(1 for _ in frames_of(path, -WHOLE, WHOLE))
            watching: list[Observer] = observers_of({"frames": frames})
            watched = watch(path, -WHOLE, WHOLE, watching)
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"Seed {path} is no video that can be read: {error}") from error
        broken = [state.error for state in watched.values() if state.error is not None]
        if broken or not frames:
            raise UserError(f"Seed {path} cannot be embedded: {broken[0] if broken else 'it has no frames'}")
        return {"meaning": None} | {key: value for one in watching for key, value in one.result().items()}

    return embed
