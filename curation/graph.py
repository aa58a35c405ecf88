"""Which stage needs which, what each result is called, and what is still to do.

Parents follow from columns: whoever adds what a stage reads. A stage's fingerprint holds those of its
parents, so a changed setting renames the results of its descendants and of nothing else; results of other
settings stay beside them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.clip import error_column
from curation.engine.job import Job
from curation.listing import Unit
from curation.manifest import Folder
from curation.sources.library import Library
from curation.stage import BarrierStage, FanOutStage, FootageStage, Stage
from curation.units import FOOTAGE_READS, BarrierJob, Inputs, RowsJob
from storage import fingerprint, plain


@dataclass(frozen=True)
class Node:
    """A stage with its place in the graph and on disk."""

    stage: Stage
    fingerprint: str
    identity: Mapping[str, Any]
    "What the fingerprint was made from, as JSON"
    folder: Folder
    columns: Mapping[str, tuple[str, ...]]
    "What it reads, by the stage that adds it"
    missing: tuple[str, ...]
    "Units without a result"

    @property
    def name(self) -> str:
        return self.stage.name


@dataclass(frozen=True)
class Graph:
    """All table stages of a run, in order."""

    library: Library
    units: tuple[Unit, ...]
    nodes: Mapping[str, Node]
    asked: frozenset[str] = frozenset()
    "Stages on demand whose columns the rules of the subset are on"

    @property
    def root(self) -> Path:
        """Where relative names of files start."""
        return self.library.folder

    def needed(self, name: str) -> list[str]:
        """`name` and what is upstream of it, in order."""
        wanted = {name}
        for node in reversed(list(self.nodes.values())):
            if node.name in wanted:
                wanted.update(node.columns)
        return [known for known in self.nodes if known in wanted]

    def whole(self) -> list[str]:
        """The stages of a whole run: all but those that nobody asked for."""
        wanted: set[str] = set()
        for name, node in reversed(list(self.nodes.items())):
            read = any(name in self.nodes[other].columns for other in wanted)
            if read or name in self.asked or not node.stage.on_demand:
                wanted.add(name)
        return [name for name in self.nodes if name in wanted]

    def parts(self, unit: str, stages: Iterable[str]) -> dict[str, Path]:
        """Where the results of one unit lie."""
        return {name: self.nodes[name].folder.part(unit) for name in stages}

    def inputs(self, unit: str, columns: Mapping[str, tuple[str, ...]]) -> Inputs:
        """The named columns of one unit."""
        needed = list(columns)
        if "ingest" in columns and any(name != "ingest" for name in columns) and "split" not in columns:
            needed.append("split")  # it says which file a clip is from
        every = {name: columns.get(name, ()) for name in needed}
        return Inputs(self.parts(unit, every), every)


def build(
    library: Library, work: Path, units: list[Unit], stages: Mapping[str, Stage], wanted: Iterable[str] = ()
) -> Graph:
    """Name the result of every stage and look what is there. `wanted`: columns that rules are on."""
    adders = {column: name for name, stage in stages.items() for column in stage.adds}
    nodes: dict[str, Node] = {}
    for name, stage in stages.items():
        columns = _columns(stage, adders) if name != "ingest" else {}
        parents = {parent: nodes[parent].fingerprint for parent in columns}
        if isinstance(stage, BarrierStage):  # its result depends on which units there are
            parents["units"] = fingerprint([unit.name for unit in units])
        identity = plain(stage.identity(parents))
        mark = fingerprint(identity)
        folder = Folder.of(work, name, mark)
        missing = tuple(folder.missing(unit.name for unit in units))
        nodes[name] = Node(stage, mark, identity, folder, columns, missing)
    asked = frozenset(adders[column] for column in wanted if column in adders)
    return Graph(library, tuple(units), nodes, asked)


def _columns(stage: Stage, adders: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    reads = (*stage.needs(), *FOOTAGE_READS) if isinstance(stage, FootageStage) else stage.needs()
    for column in dict.fromkeys(reads):
        found.setdefault(adders[column], []).append(column)
    if isinstance(stage, FanOutStage):
        found.setdefault("ingest", []).append(error_column("ingest"))
    return {name: tuple(found[name]) for name in sorted(found)}


def groups(graph: Graph, names: list[str]) -> list[list[str]]:
    """The stages `names` in order; neighbours that watch frames in one group, to share the decode."""
    found: list[list[str]] = []
    for name in names:
        last = found[-1] if found else []
        together = [graph.nodes[other].stage for other in (*last, name)]
        apart = set(graph.nodes[name].columns) & set(last)
        if last and not apart and all(isinstance(stage, FootageStage) for stage in together):
            last.append(name)
        else:
            found.append([name])
    return found


def jobs(graph: Graph, group: list[str]) -> list[Job]:
    """What is to do for the stages of one group."""
    nodes = [graph.nodes[name] for name in group]
    stage = nodes[0].stage
    if isinstance(stage, BarrierStage):
        inputs = {unit.name: graph.inputs(unit.name, nodes[0].columns) for unit in graph.units}
        return [BarrierJob(stage, graph.root, nodes[0].folder, inputs)] if nodes[0].missing else []
    found: list[Job] = []
    for unit in graph.units:
        due = [node for node in nodes if unit.name in node.missing]
        if due:
            found.append(_rows_job(graph, unit, due))
    return found


def _rows_job(graph: Graph, unit: Unit, due: list[Node]) -> RowsJob:
    stages, folders = tuple(node.stage for node in due), {node.name: node.folder for node in due}
    if due[0].name == "ingest":
        rows = tuple(item._asdict() for item in unit.files)
        return RowsJob(unit.name, graph.library, stages, folders, rows=rows)
    columns: dict[str, tuple[str, ...]] = {}
    for node in due:
        for parent, names in node.columns.items():
            columns[parent] = tuple(dict.fromkeys((*columns.get(parent, ()), *names)))
    return RowsJob(unit.name, graph.library, stages, folders, graph.inputs(unit.name, columns))
