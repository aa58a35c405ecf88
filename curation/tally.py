"""What a unit of work came to, as soon as it is done: rows, failures by reason, and clips that rules of the
subset reject.

A threshold is asked when the last of its columns appears, of every row that has the score; a clip may fail
several. Rules that depend on which clips others left (duplicates, resampling) are asked at the end of a run.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from console.board import Count
from curation import table
from curation.clip import error_column, skipped_column
from curation.engine.job import Done
from curation.graph import Graph
from curation.manifest import read_part
from curation.packing import TarJob
from curation.rules import SKIPPED, Rule, Threshold
from curation.units import RowsJob

WORDS = 60  # letters of a reason, at most


def count(graph: Graph, group: Sequence[str], rules: Sequence[Rule], done: Done) -> Count:
    """The tally of one job of the stages `group`."""
    job, rows = done.job, done.report.get("rows", 0)
    if isinstance(job, TarJob):
        failed = done.report.get("errors", 0)
        return Count(len(job.tar.rows), {"could not be encoded": failed} if failed else {})
    if not isinstance(job, RowsJob):
        return Count(rows)
    rejects: Counter[str] = Counter()
    for name in (stage.name for stage in job.stages):
        columns = [error_column(name), skipped_column(name)]
        part = read_part(graph.nodes[name].folder.part(job.unit), columns)
        rejects.update(reason(text) for text in part.column(0).drop_null().to_pylist())
        rejects.update(text.partition(":")[0] for text in part.column(1).drop_null().to_pylist())
    asked = [rule for rule in rules if isinstance(rule, Threshold) and _due(graph, group, rule)]
    if asked:
        scores = _scores(graph, group, job.unit, asked)
        for rule in asked:
            failing = rule.judge(scores, np.ones(len(scores), bool)).failing
            known = (
                scores.column(rule.score).is_valid().to_numpy()
            )  # a failure was counted, a short span is none
            rejects[rule.name] += int((failing & known).sum())
        rejects = +rejects  # without the zeros
    return Count(rows, rejects)


def reason(text: str) -> str:
    """An error without what differs from row to row, so that equal ones count together."""
    plain = re.sub(r"\d+(\.\d+)?", "N", text)
    return plain if len(plain) <= WORDS else plain[: WORDS - 1] + "…"


def _due(graph: Graph, group: Sequence[str], rule: Threshold) -> bool:
    """Whether the last stage that the rule asks is of this group."""
    adders = {column: name for name, node in graph.nodes.items() for column in node.stage.adds}
    adders |= {error_column(name): name for name in graph.nodes}
    order = list(graph.nodes)
    stages = [adders.get(column) for column in rule.columns()]
    places = [order.index(name) for name in stages if name is not None]
    return len(places) == len(stages) and order[max(places)] in group


def _scores(graph: Graph, group: Sequence[str], unit: str, rules: Sequence[Threshold]) -> pa.Table:
    """What is known of the rows of one unit by now."""
    columns = list(dict.fromkeys(column for rule in rules for column in rule.columns()))
    if list(group) == ["ingest"]:
        return read_part(graph.nodes["ingest"].folder.part(unit), columns)
    nodes = {
        name: replace(node, missing=() if node.folder.part(unit).exists() else (unit,))
        for name, node in graph.nodes.items()
    }
    (one,) = (known for known in graph.units if known.name == unit)
    return table.load(replace(graph, units=(one,), nodes=nodes), [*columns, SKIPPED])
