"""Forget the results that another run may mend: it asks again for files that could not be fetched, and for
captions that a captioner failed at. What captioners did answer is kept (curation.captioners.answers), so that
of a unit with failed captions only these are asked for.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from curation import table
from curation.captioners.writer import FAULT
from curation.clip import error_column
from curation.graph import Graph, Node
from curation.manifest import read_part
from curation.sources.remote import FAILED
from curation.stage import BarrierStage

BEGIN = {"files": FAILED, "captions": f"{FAULT} "}  # how the error of such a row begins
EVERY = "all"


def forget(graph: Graph, out: Path, what: str = EVERY) -> int:
    """Remove such units of a stage, and what stands on them, and the score table of `out`; how many units
    were concerned. `what`: a key of `BEGIN`, or `EVERY`."""
    wanted = list(BEGIN.values()) if what == EVERY else [BEGIN[what]]
    lost: dict[str, set[str]] = {}
    for name, node in graph.nodes.items():
        units = {unit for parent in node.columns for unit in lost.get(parent, ())}
        whole = isinstance(node.stage, BarrierStage) and bool(units)
        there = [unit.name for unit in graph.units if unit.name not in node.missing]
        units = set(there) if whole else units | {unit for unit in there if _failed(node, unit, wanted)}
        lost[name] = units
        for unit in units & set(there):
            node.folder.part(unit).unlink()
    concerned = set().union(*lost.values())
    if concerned:
        (out / table.FILE).unlink(missing_ok=True)  # it names results, not what they came to
    return len(concerned)


def _failed(node: Node, unit: str, begin: Sequence[str]) -> bool:
    errors = read_part(node.folder.part(unit), [error_column(node.name)]).column(0)
    found = [pc.call_function("starts_with", [errors], pc.MatchSubstringOptions(one)) for one in begin]
    return any(pc.call_function("any", [one]).as_py() for one in found)
