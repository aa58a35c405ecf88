"""motion: VMAF motion, vectors, stills, slideshows, jitter, camera, effects (Sec. 3.2.1, App. B)."""

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
    version: ClassVar[int] = 5
    reads: ClassVar[tuple[str, ...]] = ("fps", "seconds")
    adds: ClassVar[tuple[str, ...]] = (
        "vmaf_motion", "mv_mean", "mv_patch_min", "frozen", "jumps", "slideshow", "darkest",
        "shots_per_second", "shake", "drift_x", "drift_y", "camera_motion", "camera_confidence", "ken_burns",
        "flashes", "mixing",
    )  # fmt: skip

    rows: int = 360
    "Pixels of the shorter side at which VMAF motion is measured; larger frames are scaled down"

    def open(self, root: Path) -> Callable[[Row], list[Observer]]:
        from curation.scores.camera import CameraPath
        from curation.scores.camera_motion import CameraMotion
        from curation.scores.change import Change
        from curation.scores.effects import Effects
        from curation.scores.jitter import Jitter
        from curation.scores.motion_vectors import MotionVectors
        from curation.scores.vmaf_motion import VmafMotion

        def observers(row: Row) -> list[Observer]:
            clock = row["fps"], row["seconds"]
            watching: list[Observer] = [
                VmafMotion(self.rows),
                MotionVectors(),
                Change(),
                Jitter(row["seconds"]),
            ]
            return [*watching, CameraPath(row["seconds"]), CameraMotion(*clock), Effects(*clock)]

        return observers
