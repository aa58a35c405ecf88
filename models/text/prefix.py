"""What stands before a caption: the frame rate and the camera's motion (Sec. 3.1.4, 3.2.1)."""

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
    parts = [f"FPS-{round(fps)}" if fps is not None else "", camera or "", caption]
    return ", ".join(part for part in parts if part)
