"""motion: VMAF motion, motion vectors, stills, slideshows, jitter, camera path (Sec. 3.2.1, App. B.1)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from curation.footage import Observer
from curation.stage import FootageStage, Gated, Row


@dataclass(frozen=True, kw_only=True)
class Motion(Gated, FootageStage):
    """Settings of the motion stage."""

    name: ClassVar[str] = "motion"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[str, ...]] = ("fps", "seconds")
    adds: ClassVar[tuple[str, ...]] = (
        "vmaf_motion", "mv_mean", "mv_patch_min", "frozen", "jumps", "slideshow", "darkest",
        "shots_per_second", "shake", "drift_x", "drift_y",
    )  # fmt: skip

    rows: int = 360
    "Pixels of the shorter side at which VMAF motion is measured; larger frames are scaled down"

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.camera import CameraPath
        from curation.scores.change import Change
        from curation.scores.jitter import Jitter
        from curation.scores.motion_vectors import MotionVectors
        from curation.scores.vmaf_motion import VmafMotion

        def observers(row: Row) -> list[Observer]:
            return [
                VmafMotion(self.rows),
                MotionVectors(),
                Change(),
                Jitter(row["fps"], row["seconds"]),
                CameraPath(row["seconds"]),
            ]

        return observers
