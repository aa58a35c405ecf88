"""From a scene to pixels: antialiased, at any resolution, length and frame rate."""

from typing import NamedTuple

import numpy as np

from evaluation.toy_world import backgrounds, sprites
from evaluation.toy_world.scene import COLOURS, PAN, ZOOM, Scene

EDGE = (
    1.5  # pixels from outside to inside: video stores colour at half resolution, which hard edges suffer from
)
WORLD = 5.0  # short sides over which a scene's phase moves the background


class View(NamedTuple):
    """Where the camera looks at one instant: its offset in short sides of the frame, its magnification."""

    x: float
    y: float
    zoom: float


def render(scene: Scene, width: int, height: int, frames: int, fps: float) -> np.ndarray:
    """The clip of `scene`, uint8 [t h w 3]. Frame i shows the instant i / fps of the scene."""
    times = shot_times(frames)
    return render_views(scene, [view(scene, time) for time in times], times, width, height)


def shot_times(frames: int) -> list[float]:
    """The instants of the frames as fractions of the shot: 0 for the first, 1 for the last."""
    return [index / max(frames - 1, 1) for index in range(frames)]


def shot_seconds(frames: int, fps: float) -> float:
    """Seconds from the first frame to the last: the length of time that a scene's fractions divide."""
    return max(frames - 1, 1) / fps


def view(scene: Scene, time: float) -> View:
    """The camera's place at `time` (fraction of the shot); at half time it is where a static one stands."""
    camera, swing = scene.camera, scene.pace * (time - 0.5)
    if camera.startswith("zoom"):
        power = 2 * swing if camera == "zoom in" else -2 * swing
        return View(0.0, 0.0, ZOOM**power)
    step = {"pan left": (-1, 0), "pan right": (1, 0), "tilt up": (0, -1), "tilt down": (0, 1)}.get(
        camera, (0, 0)
    )
    return View(step[0] * PAN * swing, step[1] * PAN * swing, 1.0)


def render_views(scene: Scene, views: list[View], times: list[float], width: int, height: int) -> np.ndarray:
    """Frames uint8 [t h w 3] of `scene` at `times` (fractions of the shot), each seen from its view."""
    clip = np.empty((len(times), height, width, 3), dtype=np.uint8)
    still = None
    for index, (look, time) in enumerate(zip(views, times, strict=True)):
        if still is None or look != views[index - 1]:
            still = _background(scene, look, width, height)
        frame = still.copy()
        for centre in scene.centres(time):
            _draw_sprite(frame, scene, look, centre)
        clip[index] = np.rint(frame)
    return clip


def _background(scene: Scene, look: View, width: int, height: int) -> np.ndarray:
    side = min(width, height)
    x = ((np.arange(width, dtype=np.float32) + 0.5 - width / 2) / side / look.zoom) + look.x
    y = ((np.arange(height, dtype=np.float32) + 0.5 - height / 2) / side / look.zoom) + look.y
    x, y = np.meshgrid(x + WORLD * scene.phase[0], y + WORLD * scene.phase[1])
    return backgrounds.paint(scene.background, x, y)


def _draw_sprite(frame: np.ndarray, scene: Scene, look: View, centre: tuple[float, float]) -> None:
    """Blend a sprite at `centre` (fractions of the sides) into `frame` (float [h w 3]) within its box."""
    height, width, _ = frame.shape
    side = min(width, height)
    x, y = centre
    centre_x = width / 2 + ((x - 0.5) * width - look.x * side) * look.zoom
    centre_y = height / 2 + ((y - 0.5) * height - look.y * side) * look.zoom
    radius = scene.radius * side * look.zoom
    reach = 1.2 * radius + 1
    left, right = max(0, int(centre_x - reach)), min(width, int(centre_x + reach) + 2)
    top, bottom = max(0, int(centre_y - reach)), min(height, int(centre_y + reach) + 2)
    if left >= right or top >= bottom:
        return
    u = (np.arange(left, right, dtype=np.float32) + 0.5 - centre_x) / radius
    v = (np.arange(top, bottom, dtype=np.float32) + 0.5 - centre_y) / radius
    u, v = np.meshgrid(u, v)
    coverage = np.clip(0.5 - sprites.distance(scene.shape, u, v) * radius / EDGE, 0.0, 1.0)[..., None]
    light = sprites.texture(scene.texture, u, v) * (1 - 0.06 * np.clip(u + v, -1.0, 1.5))
    paint = np.minimum(np.asarray(COLOURS[scene.colour], np.float32) * light[..., None], 255.0)
    box = frame[top:bottom, left:right]
    box += (paint - box) * coverage
