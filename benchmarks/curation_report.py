"""The report's part of `python -m benchmarks.curation`: numbers and choice of clips of a million rows."""

import resource
import tempfile
import time
from pathlib import Path

import pyarrow as pa

from benchmarks.curation_corpora import million_scores
from curation import table
from curation.report import galleries
from curation.report.facts import histograms
from curation.rules import read_subset
from curation.select import select

COLUMNS = ("start_pts", "duplicate_group", "quality", "cluster", "clip_id")  # beside those of the rules


def report_costs(rows: int) -> dict[str, float]:
    """CPU-seconds for everything that a report says of `rows` clips but their pictures, how many clips it
    shows, and GB at the most."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scores.parquet")
        million_scores(path, rows)
        subset = read_subset("768px")
        names = [name for rule in subset.rules for name in rule.columns()]
        clips = table.read(path, list(dict.fromkeys([*names, *COLUMNS])))
    place = clips.column_names.index("start_pts")
    clips = clips.set_column(place, "start_pts", pa.array([0] * rows))
    verdicts = select(clips, subset)
    began = time.process_time()
    histograms(clips, verdicts)
    shown = [*galleries.kept(verdicts, 12), *galleries.rejected(verdicts, 12)]
    for edge in galleries.edges(clips, verdicts, 3):
        shown += [*edge.inside, *edge.outside]
    for group in (*galleries.duplicates(clips, 6), *galleries.clusters(clips, 12)):
        shown += group.rows
    seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"cpu_seconds": seconds, "clips": len(set(shown)), "gigabytes": memory}
