"""Forget the results that stand on a file that could not be fetched: the next run asks for it again."""

import pyarrow.compute as pc

from curation.clip import error_column
from curation.graph import Graph, Node
from curation.manifest import read_part
from curation.sources.remote import FAILED
from curation.stage import BarrierStage


def forget_unfetched(graph: Graph) -> int:
    """Remove such units of a stage, and what stands on them; how many units were concerned."""
    lost: dict[str, set[str]] = {}
    for name, node in graph.nodes.items():
        units = {unit for parent in node.columns for unit in lost.get(parent, ())}
        whole = isinstance(node.stage, BarrierStage) and bool(units)
        there = [unit.name for unit in graph.units if unit.name not in node.missing]
        units = set(there) if whole else units | {unit for unit in there if _failed(node, unit)}
        lost[name] = units
        for unit in units & set(there):
            node.folder.part(unit).unlink()
    return len(lost["ingest"].union(*lost.values()))


def _failed(node: Node, unit: str) -> bool:
    errors = read_part(node.folder.part(unit), [error_column(node.name)]).column(0)
    found = pc.call_function("starts_with", [errors], pc.MatchSubstringOptions(FAILED))
    return bool(pc.call_function("any", [found]).as_py())
