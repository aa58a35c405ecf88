"""Near-duplicates, clusters and resampling: what they cost on a million clips, and what they miss.

    python -m benchmarks.curation_content million [--rows 1000000]   long on one core; its limit is 8 GB
    python -m benchmarks.curation_content duplicates --clips 1500     toy world, pairs of labelled copies

`million` takes drawn embeddings of 512 numbers: concepts of very unequal size, 6 % near-copies, 1 % mirrored
ones. It compares no pictures, which needs real clips. The exit code is 1 where a limit is missed.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from console import command
from curation import pipeline, table
from curation.config import load
from curation.engines import engine_of
from curation.lock import locked
from curation.rules import Resample
from curation.scores import duplicates
from curation.scores.clusters import cluster
from curation.stages.content import near_duplicates
from evaluation.toy_world.settings import Settings
from evaluation.toy_world.write import make

WIDTH, SIMILARITY, CLUSTERS, MERGE = 512, 0.9, 1024, 0.9
SAMPLE = 20_000  # rows on which the cells are compared with brute force
RECALL, GIGABYTES = 0.95, 8.0


def embeddings(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Drawn features float32 [n 512], those of the mirrored clips, and the copied row of each row or -1."""
    rng = np.random.default_rng(seed)
    sizes = rng.pareto(1.0, max(rows // 50, 1)) + 0.1
    centres = _unit(rng.standard_normal((len(sizes), WIDTH), np.float32))
    concept = rng.choice(len(sizes), rows, p=sizes / sizes.sum())
    plain, mirrored = (np.empty((rows, WIDTH), np.float32) for _ in range(2))
    for first in range(0, rows, 50_000):
        part = slice(first, min(first + 50_000, rows))
        noise = _unit(rng.standard_normal((part.stop - first, WIDTH), np.float32))
        plain[part] = _unit(0.75 * centres[concept[part]] + 0.66 * noise)
        mirrored[part] = _near(plain[part], 0.85, rng)
    source = np.full(rows, -1)
    made = rng.permutation(rows)[: rows // 100 * 7]
    source[made] = rng.choice(np.setdiff1d(np.arange(rows), made), len(made))
    plain_copies, turned = np.split(made, [rows // 100 * 6])
    for some, of in ((plain_copies, plain), (turned, mirrored)):
        plain[some] = _near(of[source[some]], rng.uniform(0.92, 0.999, (len(some), 1)), rng)
        mirrored[some] = _near((mirrored if of is plain else plain)[source[some]], 0.99, rng)
    return plain, mirrored, source


def million(rows: int) -> int:
    """Time and memory of each step, and the recall of the search."""
    shown = Table("step", "CPU-seconds", "what came of it", title=f"{rows} embeddings of {WIDTH}")
    plain, mirrored, source = embeddings(rows)

    def timed(name: str, work: Callable[[], Any], says: Callable[[Any], str]) -> Any:
        began = time.process_time()
        found = work()
        line = name, f"{time.process_time() - began:.1f}", says(found)
        print(*line, sep="; ", file=sys.stderr, flush=True)
        shown.add_row(*line)
        return found

    pairs = timed("pairs above a cosine", lambda: list(duplicates.candidates(plain, mirrored, SIMILARITY)),
                  lambda found: f"{len(found)} above {SIMILARITY}")  # fmt: skip
    together = timed("groups", lambda: duplicates.groups(rows, pairs), lambda found: f"{len(found)} groups")
    names = timed("k-means and merging", lambda: cluster(plain, min(CLUSTERS, rows // 8), MERGE, 0),
                  lambda found: f"{len(np.unique(found))} clusters")  # fmt: skip
    ids = pa.array(np.char.mod("%016x", np.random.default_rng(1).permutation(rows)))
    clips = pa.table({"clip_id": ids, "cluster": pa.array(names.astype(np.int64))})
    rule = Resample(name="concepts", resample="cluster")
    timed("resampling", lambda: rule.judge(clips, np.ones(rows, bool)),
          lambda found: f"{int((~found.failing).sum())} kept")  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    group = np.arange(rows)
    for members in together:
        group[members] = members[0]
    copies = np.flatnonzero(source >= 0)
    found = float((group[copies] == group[source[copies]]).mean())
    recall = sampled_recall(plain[:SAMPLE], mirrored[:SAMPLE])
    shown.add_section()
    shown.add_row("drawn copies in one group with their source", "", f"{found:.4f} (at least {RECALL})")
    shown.add_row(
        f"recall of cells on {SAMPLE} rows, against brute force", "", f"{recall:.4f} (at least {RECALL})"
    )
    shown.add_row("peak memory, with the embeddings", "", f"{peak:.2f} GB (at most {GIGABYTES:g})")
    Console(width=110, file=sys.stdout).print(shown)
    return int(min(found, recall) < RECALL or peak > GIGABYTES)


def sampled_recall(plain: np.ndarray, mirrored: np.ndarray) -> float:
    """Part of all pairs that the cells find, where both searches are run."""
    found, limit = [], duplicates.EXACT
    for duplicates.EXACT in (len(plain), 0):
        found.append({pair[:2] for pair in duplicates.candidates(plain, mirrored, 0.75)})
    duplicates.EXACT = limit
    exact, cells = found
    assert cells <= exact
    return len(cells) / max(len(exact), 1)


def copies(clips: int, seed: int, folder: Path) -> int:
    """Pairs of the toy world: a copy and its source, against pairs of different origin."""
    truth = make(Settings(clips=clips, seed=seed, spoilers=0.4), folder / "raw", 1)
    config = load(
        "configs/curation/demo.yaml", {"input": str(folder / "raw"), "out": str(folder / "out")}, []
    )
    with locked(Path(config.out)) as mark, engine_of(config, mark) as engine:
        graph = pipeline.run_tables(config, "embed", engine)
    rows = table.load(graph, ["source", "sha256", "embedding", "mirrored", "signature", "copy"])
    rows = rows.filter(rows.column("embedding").is_valid())
    began = time.process_time()
    pairs = near_duplicates(rows, config.content)
    print(f"{time.process_time() - began:.1f} CPU-seconds to compare the clips")
    files, hashes = (rows.column(name).to_pylist() for name in ("source", "sha256"))
    origin = {one["file"]: one.get("source") or one["file"] for one in truth}
    made = {frozenset((name, of)) for name, of in origin.items() if name != of and {name, of} <= set(files)}
    found = {frozenset((files[one], files[other])) for one, other, _ in pairs}
    wrong = [
        pair for pair in pairs
        if hashes[pair.one] != hashes[pair.other] and len({origin[files[row]] for row in pair[:2]}) > 1
    ]  # fmt: skip
    recall = len(made & found) / max(len(made), 1)
    print(
        f"{len(made)} copies in {len(rows)} clips: {len(made & found)} found with their source ({recall:.3f})"
    )
    print(f"{len(wrong)} pairs of clips of other origin are taken for copies")
    return int(recall < RECALL)


def _near(rows: np.ndarray, cosine: Any, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors with about that cosine to each of `rows`."""
    noise = _unit(rng.standard_normal(rows.shape, np.float32))
    return _unit(cosine * rows + np.sqrt(1 - np.square(cosine)) * noise).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> int:
    """Run one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("million", "duplicates"))
    parser.add_argument("--rows", type=int, default=1_000_000, help="of `million` (default %(default)s)")
    parser.add_argument("--clips", type=int, default=1500, help="of `duplicates` (default %(default)s)")
    parser.add_argument("--seed", type=int, default=5, help="of the world (default %(default)s)")
    options = parser.parse_args()
    if options.what == "million":
        return million(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        return copies(options.clips, options.seed, Path(folder))


if __name__ == "__main__":
    command(main)
