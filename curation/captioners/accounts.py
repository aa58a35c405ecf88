"""What the captions of a run cost, by captioner: the sums of what the units noted."""

from curation.graph import Graph


def accounts(graph: Graph) -> dict[str, dict[str, float]]:
    """Clips, requests, tokens and cost by captioner, whenever they were paid for."""
    node, found = graph.nodes["caption"], {}
    for unit in graph.units:
        for name, spent in node.folder.statistics(unit.name).get("captioners", {}).items():
            total = found.setdefault(name, dict.fromkeys(spent, 0))
            found[name] = {key: total.get(key, 0) + value for key, value in spent.items()}
    return dict(sorted(found.items()))
