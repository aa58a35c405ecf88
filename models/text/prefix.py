"""What stands before a caption: the frame rate and the camera's motion (Sec. 3.1.4, 3.2.1)."""

from collections.abc import Collection

CAMERA_MOTIONS = (  # App. B.2
    *("zoom in", "zoom out", "push in", "pull out", "pan right", "pan left", "truck right", "truck left"),
    *("tilt up", "tilt down", "pedestal up", "pedestal down"),
    *("arc shot", "tracking shot", "static shot", "handheld shot"),
)
SHOTS = (
    "wide angle",
    "close-up",
    "aerial",
    "low angle",
    "over the shoulder",
    "first person view",
)  # Sec. 3.3


def prefixed(caption: str, fps: float | None = None, camera: str | None = None) -> str:
    """`caption` behind "FPS-16" and the camera's motion, each where it is given.

    The paper shows the frame rate as FPS-16, and not how the parts are joined: here by commas. A ValueError
    names a camera motion that is none of the paper's.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"A frame rate must be positive; {fps} came.")
    known = (*CAMERA_MOTIONS, *SHOTS)
    if camera is not None and camera not in known:
        raise ValueError(f"'{camera}' is no camera motion of the paper's. Known are: {', '.join(known)}.")
    parts = [f"FPS-{whole_rate(fps)}" if fps is not None else "", camera or "", caption]
    return ", ".join(part for part in parts if part)


def worded(
    caption: str, frames: int, kinds: Collection[str], fps: float | None = None, camera: str | None = None
) -> str:
    """What a model reads for a caption, in training as in inference: behind those of fps and camera that are
    among its `kinds`. A single frame has no rate and no motion: its caption stands alone."""
    if frames == 1:
        return caption
    return prefixed(caption, fps if "fps" in kinds else None, camera if "camera" in kinds else None)


def whole_rate(fps: float) -> int:
    """A frame rate as the prefix says it: 23.976 is 24."""
    return max(1, round(fps))
