"""The sixteen camera motions of App. B.2 in scenes with depth, drawn by chance, with their names as truth."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from evaluation.toy_world.depth import Board, Camera, DepthScene, Ground

NAMES = (
    "zoom in", "zoom out", "push in", "pull out", "pan left", "pan right", "truck left", "truck right",
    "tilt up", "tilt down", "pedestal up", "pedestal down", "arc shot", "tracking shot", "static shot",
    "handheld shot",
)  # fmt: skip
FLAT = {  # what a move looks like where all is equally far
    "push in": "zoom in", "pull out": "zoom out", "truck left": "pan left", "truck right": "pan right",
    "pedestal up": "tilt up", "pedestal down": "tilt down",
}  # fmt: skip
WALKER_SHARE = 0.4  # of scenes in which something goes by itself
UNSTEADY_SHARE = 0.5  # of moves that a hand adds a little to
GROUND_SHARE = 0.75
CLEARANCE = 0.4  # metres that a camera on its way down leaves to the floor
HUMAN = 1.6  # metres from the floor to the camera


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One clip: what there is, and where the camera is in each frame."""

    name: str
    scene: DepthScene
    cameras: tuple[Camera, ...]


def draw_shot(name: str, rng: np.random.Generator, frames: int, fps: float, *, flat: bool = False) -> Shot:
    """A scene filmed by the motion `name`; `flat`: nothing but one far wall, which shows no parallax."""
    focal = float(rng.uniform(0.75, 1.3))
    scene = DepthScene(boards=(_wall(rng),), ground=None, focal=focal)
    if not flat:
        scene = _furnished(scene, rng)
    times = np.linspace(0, 1, frames) - 0.5
    if name != "tracking shot":  # a thing that goes by itself goes evenly, and the camera with it
        times = _eased(times + 0.5, rng) - 0.5
    if name in ("arc shot", "tracking shot"):
        scene, path = _about_subject(name, scene, rng)
    else:
        path = _path(name, scene, rng)
    cameras = [path(float(time)) for time in times]
    hand = _hand(rng, frames, fps)
    if name == "handheld shot":
        cameras = [_shaken(one, move, 1.0) for one, move in zip(cameras, hand, strict=True)]
    elif name != "static shot" and rng.uniform() < UNSTEADY_SHARE:
        cameras = [_shaken(one, move, 0.12) for one, move in zip(cameras, hand, strict=True)]
    return Shot(name=name, scene=scene, cameras=tuple(cameras))


def _wall(rng: np.random.Generator) -> Board:
    z = float(rng.uniform(12, 40))
    return Board(x=0, y=0, z=z, half=(9 * z, 9 * z), seed=_seed(rng), grain=z * float(rng.uniform(0.8, 1.6)))


def _furnished(scene: DepthScene, rng: np.random.Generator) -> DepthScene:
    """With things at many depths, often a floor, sometimes something that goes by itself."""
    boards = list(scene.boards)
    for _ in range(int(rng.integers(4, 11))):
        z = float(np.exp(rng.uniform(np.log(2.2), np.log(10))))
        half = (float(rng.uniform(0.05, 0.16)) * z, float(rng.uniform(0.08, 0.3)) * z)
        x = float(rng.uniform(-0.75, 0.75)) * z / scene.focal
        y = float(rng.uniform(-0.2, 0.25)) * z
        boards.append(_board(rng, (x, y, z), half))
    if rng.uniform() < WALKER_SHARE:
        z = float(rng.uniform(3, 8))
        walker = _board(rng, (0.0, 0.05 * z, z), (0.05 * z, 0.14 * z))
        way = float(rng.choice((-1, 1)) * rng.uniform(0.3, 0.9)) * z
        boards.append(replace(walker, way=(way, 0.0)))
    if rng.uniform() >= GROUND_SHARE:
        return replace(scene, boards=tuple(boards))
    ground = Ground(y=HUMAN * float(rng.uniform(0.7, 1.3)), seed=_seed(rng), grain=float(rng.uniform(1.5, 4)))
    return replace(scene, boards=tuple(_above(board, ground.y) for board in boards), ground=ground)


def _above(board: Board, floor: float) -> Board:
    """The board, cut off or moved up where it would reach below the floor."""
    top = min(board.y - board.half[1], floor - board.half[1])
    bottom = min(board.y + board.half[1], floor)
    return replace(board, y=(top + bottom) / 2, half=(board.half[0], (bottom - top) / 2))


def _board(rng: np.random.Generator, place: tuple[float, float, float], half: tuple[float, float]) -> Board:
    grain = place[2] * float(rng.uniform(0.5, 1.0))
    x, y, z = place
    return Board(x=x, y=y, z=z, half=half, seed=_seed(rng), grain=grain, round=bool(rng.uniform() < 0.5))


def _path(name: str, scene: DepthScene, rng: np.random.Generator) -> Callable[[float], Camera]:
    """The camera's place at times from -0.5 to 0.5."""
    kind, _, way = name.partition(" ")
    sign = 1 if way in ("right", "up", "in") else -1
    depth = float(np.median([board.z for board in scene.boards]))
    angle = float(np.arctan(rng.uniform(0.25, 0.6) / scene.focal))
    along = float(rng.uniform(0.25, 0.6)) * depth / scene.focal
    if scene.ground is not None and kind == "pedestal":
        along = min(along, 2 * (scene.ground.y - CLEARANCE))
    ahead = float(rng.uniform(0.25, 0.5)) * min(board.z for board in scene.boards)
    zoom = float(rng.uniform(0.3, 0.7))
    paths: dict[str, Callable[[float], Camera]] = {
        "pan": lambda t: Camera(yaw=sign * angle * t),
        "tilt": lambda t: Camera(pitch=sign * angle * t),
        "truck": lambda t: Camera(x=sign * along * t),
        "pedestal": lambda t: Camera(y=-sign * along * t),
        "push": lambda t: Camera(z=sign * ahead * t),
        "pull": lambda t: Camera(z=sign * ahead * t),
        "zoom": lambda t: Camera(zoom=float(np.exp(sign * zoom * t))),
    }
    return paths.get(kind, lambda t: Camera())


def _about_subject(
    name: str, scene: DepthScene, rng: np.random.Generator
) -> tuple[DepthScene, Callable[[float], Camera]]:
    """A thing in the middle of the picture that the camera goes around, or beside as it goes."""
    z, sign = float(rng.uniform(2.6, 4.5)), int(rng.choice((-1, 1)))
    size = float(rng.uniform(0.09, 0.15)) * z
    middle = float(rng.uniform(-0.08, 0.08)) * z
    subject = _board(rng, (middle, 0.05 * z, z), (size, size * float(rng.uniform(1.2, 1.9))))
    boards = tuple(board for board in scene.boards if board.z > 1.15 * z or abs(board.x) > 3 * size)
    if name == "arc shot":
        angle = float(rng.uniform(0.35, 0.8))
        around = replace(scene, boards=(*boards, subject))
        return around, lambda t: Camera(
            x=sign * z * np.sin(angle * t), z=z - z * np.cos(angle * t), yaw=-sign * angle * t
        )
    way = sign * float(rng.uniform(0.7, 1.6)) * z / scene.focal
    beside = replace(scene, boards=(*boards, replace(subject, way=(way, 0.0))))
    return beside, lambda t: Camera(x=way * t)


def _eased(times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Times of an even motion, or of one that starts and ends softly."""
    soft = times * times * (3 - 2 * times)
    return soft if rng.uniform() < 0.5 else times


def _hand(rng: np.random.Generator, frames: int, fps: float) -> np.ndarray:
    """What a hand adds in each frame: x, y, z in metres, yaw, pitch and roll in radians, [t 6]."""
    seconds = np.arange(frames) / fps
    sizes = np.array([0.03, 0.03, 0.02, 0.030, 0.030, 0.010]) * rng.uniform(0.8, 1.8)
    total = np.zeros((frames, 6))
    for rate in rng.uniform(0.5, 3.0, 5):
        total += np.sin(2 * np.pi * (rate * seconds[:, None] + rng.uniform(0, 1, 6))) / 2
    return total * sizes


def _shaken(camera: Camera, hand: np.ndarray, share: float) -> Camera:
    return Camera(*(np.array(camera[:6]) + share * hand), zoom=camera.zoom)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
