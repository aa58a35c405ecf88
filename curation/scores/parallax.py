"""What a moving camera shows of depth: whether it turned and zoomed, or went somewhere (App. B.2).

A camera that turns or zooms moves all of the picture by one law, however far things are. One that goes moves
near things more than far ones: along one direction for a truck or pedestal, away from a point for a push. So
points are asked in three ways, along x, along y and from the middle outwards: how they move that way, which
depends on depth alone once zoom and roll are taken off, and how much is left across it, which a still world
cannot show. Low, middle and high of the points then say: all alike, it turned; alike in sign only, it went;
of both signs, it went around something. A thing in the middle that stays while the rest goes is followed. A
flat world shows no parallax, and keeps the name of the turn or zoom that looks the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from curation.scores.tracks import SPREAD, Tracks

SPARED = 80  # percentile of what a way leaves: what goes by itself is mostly less than a fifth
MIDDLE = 0.15  # longer sides about the middle, where no zoom shows
LEAST = 0.12  # shift in sides of the frame, or natural logarithm of magnification, that makes a move
MOVES = 0.02  # the same for the middle of the points: where most stand, so does the camera
DEEP = 0.35  # part of the fastest points' motion that the slowest may lack when all are equally far
UNSURE = 0.15  # on both sides of it
STEADY = 0.7  # part of the way that must go in one direction
CROSSED = 0.25  # part of the spread that may be left across an arc
STAYS = 0.12  # of the median speed: a point that the camera follows, or looks at from all around
ROUND = 1.0  # of `near_leads`: less, and what is far leads, as in an arc
LIKELY = 0.75  # most confidence of the two: before an even background they are the same picture
NOISE = 0.003  # longer sides: half a pixel
ROUNDS = 8  # of reweighting
PUSHES = (("push in", "zoom in"), ("pull out", "zoom out"))
SHIFTS = (
    (("truck left", "pan left"), ("truck right", "pan right")),
    (("pedestal up", "tilt up"), ("pedestal down", "tilt down")),
)  # where the picture goes to larger, then to smaller x and y


class Way(NamedTuple):
    """How points move in one of the three ways, summed over stretches of the clip."""

    low: float
    middle: float
    high: float
    left: float
    "What moves across it, longer sides"
    size: float
    "What moves along it, longer sides"
    steady: float
    "Part of the fastest points' way that goes in one direction, from picture to picture"
    leading: float
    "The same, from stretch to stretch"
    followed: float = 0.0
    "Part of the stretches in which something in the middle stays"
    uneven: float = 1.0
    "Speed of the faster ones of the points that do not stay, over that of their middle"
    lower: float = 1.0
    "Speed of the picture's lower third over that of its upper one"

    @property
    def most(self) -> float:
        """Of the fastest points, with its sign."""
        return max(self.low, self.high, key=abs)

    @property
    def lacks(self) -> float:
        """Part of the fastest points' motion that the slowest have not: 0 all alike, over 1 the other way."""
        least = self.low + self.high - self.most
        return 1 - least / self.most if self.most else 0.0

    @property
    def near_leads(self) -> float:
        """How much faster near things move than far ones: in an arc about something less than 1."""
        return self.uneven * self.lower

    @property
    def one_way(self) -> bool:
        """The camera moved, and all that stands went one way."""
        moves = abs(self.middle) >= max(MOVES, 0.05 * abs(self.most))
        return self.lacks < 1.2 and moves and self.steady >= STEADY


def classify(stretches: Sequence[Tracks], sides: tuple[float, float]) -> tuple[str, float] | None:
    """The name of a camera's move and how sure it is, or None where it stands, shakes or cannot be told.

    `sides`: width and height of the picture, the longer one 1.
    """
    if not stretches:
        return None
    ways = (*(shifted(stretches, axis) for axis in (0, 1)), magnified(stretches))
    least = (LEAST * sides[0], LEAST * sides[1], LEAST)
    if arc := _arc(ways[0], ways[1:], least[0]):
        return arc
    able = [k for k in range(3) if abs(ways[k].most) >= least[k] and ways[k].one_way]
    if not able:
        return None
    unlike = max(ways[k].left / ways[k].size for k in able) > 0.1  # depth shows, and tells them apart
    k = min(able, key=lambda k: ways[k].left / ways[k].size if unlike else -abs(ways[k].most) / least[k])
    way, backwards = ways[k], ways[k].most < 0
    sure = way.steady * max(0.0, 1 - way.left / way.size)
    if k < 2 and way.followed >= 0.5:
        name = "arc shot" if k == 0 and way.near_leads < ROUND else "tracking shot"
        return name, sure * way.followed * LIKELY
    deep, plain = (SHIFTS[k] if k < 2 else PUSHES)[backwards]
    margin = min(abs(way.lacks - DEEP) / UNSURE, 1.0)
    return deep if way.lacks > DEEP else plain, sure * (0.5 + 0.5 * margin)


def _arc(across: Way, others: Sequence[Way], least: float) -> tuple[str, float] | None:
    """Things nearer than something in the middle go one way, those beyond it the other."""
    spread = across.high - across.low
    both = across.low < 0 < across.high and across.lacks > 1.2
    alone = all(across.left <= other.left for other in others)
    fits = both and alone and across.leading >= STEADY
    if not fits or spread < least or across.left > CROSSED * spread:
        return None
    return "arc shot", (1 - across.left / (CROSSED * spread)) ** 0.5 * min(across.lacks - 1, 0.5) / 0.5


def shifted(stretches: Sequence[Tracks], axis: int) -> Way:
    """Motion along x (0) or y (1), without that of a zoom and a roll, which show across it."""
    points, lefts, sizes, follows, speeds = [], [], [], [], []
    for one in stretches:
        along, across = unzoomed(one, axis)
        points.append(np.percentile(along, SPREAD))
        lefts.append(np.percentile(np.abs(across), SPARED))
        sizes.append(np.percentile(np.abs(along), SPARED))
        follows.append(_followed(one.places, along, axis))
        speeds.append((_uneven(along), _lower(one.places, along)))
    path = np.concatenate([one.steps[:, :, axis] for one in stretches])
    found = _way(np.array(points), path, sum(lefts), sum(sizes))
    uneven, lower = (float(value) for value in np.median(speeds, axis=0))
    return found._replace(followed=float(np.mean(follows)), uneven=uneven, lower=lower)


def magnified(stretches: Sequence[Tracks]) -> Way:
    """Motion away from the middle: logarithm of the magnification."""
    points, lefts, sizes = [], [], []
    for one in stretches:
        shift, turn = similarity(one)
        far = np.hypot(*one.places.T) > MIDDLE
        places = one.places[far] @ (1, 1j)
        ways = one.ways[far] @ (1, 1j) - shift - 1j * turn.imag * places
        outwards = ways * np.conj(places) / np.abs(places)
        points.append(np.percentile(outwards.real / np.abs(places), SPREAD))
        lefts.append(np.percentile(np.abs(outwards.imag), SPARED))
        sizes.append(np.percentile(np.abs(outwards.real), SPARED))
    return _way(np.array(points), np.array(points), sum(lefts), sum(sizes))


def _way(points: Float[np.ndarray, "t 3"], path: Float[np.ndarray, "n 3"], left: float, size: float) -> Way:
    low, middle, high = (float(value) for value in points.sum(axis=0))
    fastest = path[:, 0 if abs(low) > abs(high) else 2]
    leaders = np.where(np.abs(points[:, 0]) > np.abs(points[:, 2]), points[:, 0], points[:, 2])
    return Way(low, middle, high, float(left), max(float(size), 1e-9), _steady(fastest), _steady(leaders))


def _steady(path: Float[np.ndarray, " n"]) -> float:
    return float(abs(path.sum()) / max(np.abs(path).sum(), 1e-9))


def similarity(tracks: Tracks) -> tuple[complex, complex]:
    """Shift, and magnification with turn (imaginary) about the middle, that most points agree with."""
    places, ways = tracks.places @ (1, 1j), tracks.ways @ (1, 1j)
    shift, turn = complex(np.median(ways.real), np.median(ways.imag)), 0j
    for _ in range(ROUNDS):
        weight = _weight(np.abs(ways - shift - turn * places))
        middle, way = (weight * places).sum() / weight.sum(), (weight * ways).sum() / weight.sum()
        about = places - middle
        turn = (weight * np.conj(about) * (ways - way)).sum() / max(
            (weight * np.abs(about) ** 2).sum(), 1e-12
        )
        shift = way - turn * middle
    return complex(shift), complex(turn)


def unzoomed(tracks: Tracks, axis: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Motion along an axis without zoom and roll, and what these leave across it.

    Zoom, roll and shift are fitted to the motion across the axis alone: a camera that goes along it moves
    nothing across, at any depth.
    """
    along, over = tracks.places[:, axis], tracks.places[:, 1 - axis]
    sign = 1 if axis == 0 else -1
    columns = np.stack([np.ones_like(over), over, sign * along], axis=1)
    across = tracks.ways[:, 1 - axis]
    found = np.linalg.lstsq(columns, across, rcond=None)[0]
    for _ in range(ROUNDS):
        root = np.sqrt(_weight(np.abs(across - columns @ found)))
        found = np.linalg.lstsq(columns * root[:, None], across * root, rcond=None)[0]
    _, zoom, roll = found
    return tracks.ways[:, axis] - zoom * along + sign * roll * over, across - columns @ found


def _weight(off: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Geman-McClure: what goes by itself hardly counts."""
    return 1 / (1 + (off / max(1.5 * float(np.median(off)), NOISE)) ** 2) ** 2


def _followed(places: Float[np.ndarray, "n 2"], along: Float[np.ndarray, " n"], axis: int) -> bool:
    """Whether something in the middle of the picture, and nothing at its sides, stays in its place."""
    speed, where = np.abs(along), places[:, axis] / np.abs(places[:, axis]).max()
    moving = speed > 0.35 * np.percentile(speed, 90)
    if moving.mean() < 0.3:
        return False
    stays = speed < max(STAYS * float(np.median(speed[moving])), NOISE)
    if not 0.03 < stays.mean() < 0.5 or stays.sum() < 4:
        return False
    middle = np.median(where[stays])
    compact = np.percentile(np.abs(where[stays] - middle), SPARED) < 0.4
    sides = np.abs(where) > 0.72
    return bool(abs(middle) < 0.5 and compact and stays[sides].mean() < 0.12)


def _uneven(along: Float[np.ndarray, " n"]) -> float:
    speed = np.abs(along)
    moves = speed[speed > max(STAYS * float(np.median(speed)), NOISE)]
    return float(np.percentile(moves, SPREAD[2]) / np.median(moves)) if len(moves) else 1.0


def _lower(places: Float[np.ndarray, "n 2"], along: Float[np.ndarray, " n"]) -> float:
    """Speed in the lower third of the picture, where things are near, over that in the upper one."""
    speed, third = np.abs(along), np.abs(places[:, 1]).max() / 3
    moves = speed > max(STAYS * float(np.median(speed)), NOISE)
    upper, lower = moves & (places[:, 1] < -third), moves & (places[:, 1] > third)
    if min(upper.sum(), lower.sum()) < 4:
        return 1.0
    return float(np.median(speed[lower]) / np.median(speed[upper]))
