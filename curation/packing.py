"""The job of the shards stage: one tar, written whole or not at all, and a note beside it that says what is
in it."""

import json
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from curation.clip import Clip
from curation.engine.job import OPENING, Beat, Skip
from curation.face_references import Place, pictures
from curation.shardset import Shard, add_member
from curation.sources.library import Library
from curation.stage import Row
from curation.stages.audio import AudioScores
from curation.stages.motion import Motion
from curation.stages.shards import Shards, Tar, tar_path
from curation.stages.visual import Visual
from curation.transcode import transcode
from curation.units import _Clock, guarded
from storage import atomic_path, hash_file, write_json

SCORES = (*Visual.adds, *Motion.adds, "quality", "cluster")
MEASURED = ("single_face", "face_similarity", *AudioScores.adds)  # on demand: where they were measured


@dataclass(frozen=True)
class TarJob:
    """Writes one tar."""

    tar: Tar
    stage: Shards
    library: Library
    work: Path
    faces: Mapping[str, Place] = field(default_factory=dict, repr=False)
    "Where the reference pictures of its clips lie, by clip_id"

    @property
    def key(self) -> str:
        return f"shards {self.tar.name}"

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.stage.name,)

    def run(self, beat: Beat, skip: Skip) -> dict[str, Any]:
        beat(OPENING)
        clock, target = _Clock(), tar_path(self.work, self.tar.name)
        errors: dict[str, str] = {}
        with atomic_path(target) as temporary:
            with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
                for k, row in enumerate(self.tar.rows):
                    beat(k)
                    video, error = (None, skip[k]) if k in skip else guarded(self._encode, row)
                    if video is None:
                        errors[row["clip_id"]] = error or "no result"
                        continue
                    add_member(tar, f"{row['clip_id']}.json", record(row, self.tar.bucket).to_json().encode())
                    add_member(tar, f"{row['clip_id']}.mp4", video)
                    if row["clip_id"] in self.faces:
                        for number, picture in enumerate(pictures(self.faces[row["clip_id"]])):
                            add_member(tar, f"{row['clip_id']}.face{number}.jpg", picture)
            samples, size = len(self.tar.rows) - len(errors), temporary.stat().st_size
            shard = Shard("", samples, size, hash_file(temporary), self.tar.bucket)
        write_json(_note(target), {"shard": asdict(shard), "errors": errors, **clock.read()})
        return {"errors": len(errors)}

    def _encode(self, row: Row) -> bytes:
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=self.work / "shards") as folder:
            target = Path(folder, "clip.mp4")
            with self.library.borrow(row["source"]) as path:
                transcode(path, row, target, self.stage)
            return target.read_bytes()


def finished(work: Path, tar: Tar) -> dict[str, Any] | None:
    """The note of a tar that is whole, None for one that is still to be written."""
    path = tar_path(work, tar.name)
    try:
        note = json.loads(_note(path).read_text())
        return note if path.stat().st_size == note["shard"]["bytes"] else None
    except (FileNotFoundError, ValueError):
        return None


def shard_sets(work: Path, tars: list[Tar], notes: Mapping[str, dict]) -> dict[str, list[tuple[Path, Shard]]]:
    """The tars of each split with their names in the set; a tar that lost all its clips is left out."""
    sets: dict[str, list[tuple[Path, Shard]]] = {"train": [], "val": []}
    for tar in tars:
        facts = notes[tar.name]["shard"]
        if facts["samples"]:
            members = sets[tar.split]
            members.append(
                (tar_path(work, tar.name), Shard(**{**facts, "file": f"shard-{len(members):06d}.tar"}))
            )
    return sets


def record(row: Row, bucket: str) -> Clip:
    """What the shard says of a clip."""
    target = row["target"]
    measured = {name: row[name] for name in MEASURED if row.get(name) is not None}
    listed = {"listed": json.loads(row["listed"])} if row.get("listed") else {}
    return Clip(
        clip_id=row["clip_id"],
        source=row["source"],
        start=row["start"],
        end=row["end"],
        width=target["width"],
        height=target["height"],
        fps=target["rate"],
        frames=target["frames"],
        duration=target["frames"] / target["rate"],
        caption=row["caption"] or "",
        caption_source=row["caption_source"] or "none",
        captioner=row["captioner"] or "none",
        bucket=bucket,
        camera_motion=row.get("camera_motion"),
        camera_confidence=row.get("camera_confidence"),
        scores={name: row.get(name) for name in SCORES} | measured,
        lineage={**row["lineage"], "sha256": row["sha256"]} | listed,
    )


def _note(path: Path) -> Path:
    return path.with_suffix(".json")
