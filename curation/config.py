"""The settings of a curation run: where from, where to, which subset, and one section for each stage."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from console import UserError
from curation.cascade import guarded
from curation.engines import Engines
from curation.rules import Threshold
from curation.scores.face_pairs import CrossPairing
from curation.settings import build, suggest
from curation.sources.handling import Handling
from curation.stage import Stage
from curation.stages.audio import AudioScores
from curation.stages.caption import Caption
from curation.stages.content import Content
from curation.stages.embed import Embed
from curation.stages.faces import FaceScores
from curation.stages.identities import Identities
from curation.stages.ingest import Ingest
from curation.stages.keyframes import Keyframes
from curation.stages.motion import Motion
from curation.stages.shards import Shards
from curation.stages.split import Split
from curation.stages.visual import Visual

TABLE_STAGES = (
    "ingest", "split", "keyframes", "visual", "motion", "embed", "faces", "identities", "audio", "content",
    "caption",
)  # fmt: skip
STAGES = (*TABLE_STAGES, "shards")


@dataclass(frozen=True, kw_only=True)
class Config:
    """One curation run."""

    input: str = "data/raw"
    """What to curate: a folder, searched with all its folders; a pattern (`raw/**/*.mp4`); a video; a tar of
    videos; a list of files (.csv, .tsv, .jsonl, .parquet); or one of these at an address (https://, s3://)"""
    out: str = "data/curated"
    "Folder for the shards, the report and the work of the stages"
    subset: str = "720px"
    "Rules that decide which clips become shards: a name in configs/curation/subsets, or a path"
    cascade: tuple[Threshold, ...] = ()
    """Rules on columns of ingest, split and keyframes; what fails one is not decoded any further and has no
    more scores. Empty: everything is measured"""
    engine: Engines = field(default_factory=Engines)
    "What runs the units of work"
    workers: int = 0
    "Processes; 0 for one per core, on Ray for as many as the cluster has room for"
    unit: int = 64
    "Files in a unit of work, about"
    mlflow: bool = True
    "Whether the run is logged to MLflow"
    experiment: str = "curation"
    "MLflow experiment"
    row_seconds: float = 600.0
    "A worker that is on one clip or file for longer is taken for hung"
    files: Handling = field(default_factory=Handling)
    examples: int = 12
    "Clips of each kind that the report shows"
    ingest: Ingest = field(default_factory=Ingest)
    split: Split = field(default_factory=Split)
    keyframes: Keyframes = field(default_factory=Keyframes)
    visual: Visual = field(default_factory=Visual)
    motion: Motion = field(default_factory=Motion)
    embed: Embed = field(default_factory=Embed)
    faces: FaceScores = field(default_factory=FaceScores)
    identities: Identities = field(default_factory=Identities)
    audio: AudioScores = field(default_factory=AudioScores)
    content: Content = field(default_factory=Content)
    caption: Caption = field(default_factory=Caption)
    shards: Shards = field(default_factory=Shards)
    pairs: CrossPairing = field(default_factory=CrossPairing)

    def __post_init__(self):
        if self.unit < 1 or self.workers < 0 or self.row_seconds <= 0:
            raise UserError("unit must be at least 1, workers at least 0 and row_seconds above 0.")
        self.engine.check_stages(STAGES)
        if self.content.clip not in ("", self.embed.clip):
            raise UserError(
                "content.clip is the model of embed.clip, which fills it in: give only embed.clip."
            )

    def stages(self) -> dict[str, Stage]:
        """The table stages, in order."""
        found: dict[str, Stage] = {name: getattr(self, name) for name in TABLE_STAGES}
        kept = Path(self.caption.answers) if self.caption.answers else self.work / "answers"
        found["content"] = replace(self.content, clip=self.embed.clip)
        found["caption"] = replace(self.caption, answers=str(kept.absolute()))
        return guarded(found, self.cascade)

    @property
    def work(self) -> Path:
        """Where the stages keep their results."""
        return Path(self.out) / "work"


def load(path: str | Path, changes: Mapping[str, Any], assignments: list[str]) -> Config:
    """The config of a YAML file, with `changes` (top level) and `stage.key=value` assignments over it."""
    path = find_config(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold keys with values.")
    content.update({key: value for key, value in changes.items() if value is not None})
    for text in assignments:
        _assign(content, text)
    return build(Config, content, str(path))


def find_config(path: str | Path) -> Path:
    """The file, from here or from the folder of the project."""
    for candidate in (Path(path), Path(__file__).parents[1] / path):
        if candidate.is_file():
            return candidate
    raise UserError(
        f"There is no config {path}. The project has default.yaml, captions.yaml, 256px.yaml, 768px.yaml, "
        "sft.yaml, demo.yaml and samples.yaml in configs/curation."
    )


def check_stage(name: str) -> str:
    """`name`, if a stage has it."""
    if name not in STAGES:
        raise UserError(f"There is no stage {name!r}{suggest(name, STAGES)}. In order: {', '.join(STAGES)}.")
    return name


def _assign(content: dict, text: str) -> None:
    key, sign, value = text.partition("=")
    if not sign:
        raise UserError(f"--set {text}: expected KEY=VALUE or STAGE.KEY=VALUE.")
    *sections, last = key.strip().split(".")
    if sections and sections[0] not in {f.name for f in fields(Config)}:
        raise UserError(f"--set {text}: there is no section {sections[0]!r}{suggest(sections[0], STAGES)}.")
    for section in sections:
        content = content.setdefault(section, {})
    content[last] = yaml.safe_load(value)
